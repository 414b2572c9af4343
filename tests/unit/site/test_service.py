"""A site that cannot serve says why before it starts anything."""

from pathlib import Path

import pytest

from datacanal.configuration import Configuration, LakeSection, SiteSection
from datacanal.domain.errors import (
    AlreadyRunning,
    BadPolicy,
    LakeUnreadable,
    PortInUse,
)
from datacanal.serving.runner import address_of, bind
from datacanal.site.service import serve_site


def configured(folder: Path, policy: str, exchange: str = "127.0.0.1:0") -> Configuration:
    (folder / "p.toml").write_text(policy)
    lake = LakeSection(name="t", url=(folder / "lake").as_uri(), policy=folder / "p.toml")
    site = SiteSection(name="core", exchange=exchange, lakes=[lake])
    return Configuration(home=folder / "home", file=folder / "datacanal.toml", sites=[site])


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ("", BadPolicy),
        ('default_class = "public"', LakeUnreadable),
    ],
)
def test_a_bad_policy_or_lake_stops_the_start_and_leaves_nothing(
    tmp_path: Path, policy: str, error: type[Exception]
) -> None:
    configuration = configured(tmp_path, policy)
    with pytest.raises(error):
        serve_site(configuration, "core")
    assert not (tmp_path / "home").exists()


def test_a_taken_exchange_address_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with bind("127.0.0.1:0", key="test") as holder:
        configuration = configured(tmp_path, 'default_class = "public"', address_of(holder))
        with pytest.raises(PortInUse, match=r"sites\.core\.exchange"):
            serve_site(configuration, "core")


def test_two_agents_do_not_share_a_home(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "lake").mkdir()
    home = tmp_path / "home" / "sites" / "core"
    home.mkdir(parents=True)
    with (home / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning):
            serve_site(configured(tmp_path, 'default_class = "public"'), "core")
