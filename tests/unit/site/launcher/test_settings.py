"""The launcher's section of the configuration, and which folders containers may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from datacanal.configuration import load_configuration
from datacanal.domain.errors import BadConfiguration
from datacanal.site.launcher.settings import BOXED, LauncherSettings, launcher_settings, scope_of

SITE = '[[sites]]\nname = "core"\n[[sites.lakes]]\nname = "payments"\nurl = "{lake}"\npolicy = "p.toml"\n'


def settings_of(folder: Path, text: str) -> LauncherSettings:
    file = folder / "datacanal.toml"
    file.write_text(text)
    return launcher_settings(load_configuration(file))


def test_everything_has_a_default(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "")
    assert settings.docker_host == "unix:///var/run/docker.sock"
    assert (settings.image, settings.images, settings.runtime) == ("datacanal-worker:latest", frozenset(), None)
    assert (str(settings.subnets), settings.paths, settings.command) == ("10.213.0.0/16", {}, BOXED)
    assert settings.home == tmp_path / "state" / "launcher"


def test_a_site_has_its_home_and_its_lakes_and_nothing_of_others(tmp_path: Path) -> None:
    other = SITE.replace('"core"', '"crm"\nexchange = "127.0.0.1:8411"').replace('"payments"', '"users"')
    settings = settings_of(tmp_path, SITE.format(lake="lakes/p") + other.format(lake="lakes/u"))
    core, crm = settings.sites
    assert core.home.path == tmp_path / "state" / "sites" / "core"
    assert {name: lake.path for name, lake in core.lakes.items()} == {"payments": tmp_path / "lakes" / "p"}
    assert list(crm.lakes) == ["users"]
    assert core.scope != crm.scope


def test_sites_whose_launchers_see_their_homes_under_one_name_are_told_apart_by_the_machines_own(
    tmp_path: Path,
) -> None:
    def scope(volume: str) -> str:
        paths = f'[launcher.paths]\n"{tmp_path}/state" = "/volumes/{volume}"\n'
        [site] = settings_of(tmp_path, paths + SITE.format(lake="lakes/p")).sites
        return site.scope

    assert scope("first") != scope("second")
    assert scope("first") == scope_of(Path("/volumes/first/sites/core"))


def test_a_lake_behind_a_link_is_mounted_from_where_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "lake").symlink_to("disk")
    (core,) = settings_of(tmp_path, SITE.format(lake=f"file://{tmp_path}/lake")).sites
    lake = core.lakes["payments"]
    assert (lake.path, lake.real) == (tmp_path / "lake", tmp_path / "disk")


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ('docker_host = "tcp://192.0.2.1:2375"', "launcher.docker_host"),
        ('image = ""', "launcher.image"),
        ('images = ["debian:12"]', "launcher.images.0"),
        ('runtime = "a b"', "launcher.runtime"),
        ('subnets = "10.213.0.1/16"', "launcher.subnets"),
        ('subnets = "8.8.0.0/16"', "launcher.subnets"),
        ('subnets = "10.213.0.0/28"', "launcher.subnets"),
        ('paths = {"state" = "/srv"}', "launcher.paths"),
        ('paths = {"/state/.." = "/srv"}', "launcher.paths"),
        ("privileged = true", "launcher.privileged"),
    ],
)
def test_what_is_wrong_is_refused_by_its_key(tmp_path: Path, lines: str, key: str) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        settings_of(tmp_path, f"[launcher]\n{lines}\n")
    assert str(refusal.value.data["key"]).startswith(key)


@pytest.mark.parametrize(
    "lake",
    ["/", "/var/run", "/run", "/tmp", "/proc", "state", "state/launcher", "state/sites", "state/sites/core", "."],  # noqa: S108
)
def test_a_lake_that_holds_more_than_data_is_refused(tmp_path: Path, lake: str) -> None:
    docker_host = '[launcher]\ndocker_host = "unix:///var/run/docker.sock"\n'
    with pytest.raises(BadConfiguration, match="which no container may have"):
        settings_of(tmp_path, docker_host + SITE.format(lake=lake if lake[0] != "/" else f"file://{lake}"))
