"""From a specification to a container: every wall stands, whatever was asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.site.launcher.ground import ALLOWED, BOOT, IMAGE, Ground, specification
from tests.unit.site.launcher.hardened import broken_walls, foreign_sources

from datacanal.domain.errors import ContainerRefused, DatacanalError, NotFound
from datacanal.serving.problems import status_of
from datacanal.serving.strict_json import parse_document
from datacanal.site.launcher.folders import check_folders
from datacanal.site.launcher.hardening import Surroundings, chosen_image, hardened, mounts_of
from datacanal.site.launcher.settings import NOBODY, User, user_of
from datacanal.site.launcher.specification import ContainerSpecification

FOUND = Surroundings(User(1000, 1000), IMAGE, "a" * 64)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def configured(ground: Ground, wanted: ContainerSpecification) -> dict[str, Any]:
    return hardened(wanted, ground.core, ground.settings, FOUND)


def folders_of(ground: Ground) -> list[Path]:
    return [ground.core.home.path, *(lake.path for lake in ground.core.lakes.values())]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"role": "scheduler", "scratch": False, "lakes": ()},
        {"role": "driver", "scratch": False, "lakes": (), "image": ALLOWED},
        {"role": "job_scheduler", "scratch": False, "lakes": (), "stage": None, "image": ALLOWED},
        {"role": "job_worker", "scratch": False, "lakes": (), "image": ALLOWED},
        {"role": "runner", "lakes": ("payments", "účty"), "job": "job_1", "step": "s1", "fence": 0},
    ],
)
def test_every_wall_stands(ground: Ground, changed: dict[str, Any]) -> None:
    made = configured(ground, specification(**changed))
    assert broken_walls(made, made["HostConfig"]) == []
    assert foreign_sources(made["HostConfig"], folders_of(ground)) == []


def test_the_container_gets_what_was_asked(ground: Ground) -> None:
    made = configured(ground, specification(job="job_1", step="s2", fence=7))
    host = made["HostConfig"]
    assert made["Entrypoint"] == ["python", "-m", "datacanal.site.engine.boxed", "worker"]
    assert (made["User"], made["Hostname"]) == ("1000:1000", "worker-1")
    assert (host["Memory"], host["NanoCpus"]) == (512 * 2**20, 1_500_000_000)
    assert "size=67108864" in host["Tmpfs"]["/tmp"]  # noqa: S108
    assert "size=1073741824" in host["Tmpfs"]["/work"]
    assert {made["Labels"][f"datacanal.{name}"] for name in ("job", "step", "fence")} == {"job_1", "s2", "7"}
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"a" * 64: {"Aliases": ["worker-1"]}}}
    home = ground.core.home.path
    assert [(mount["Target"], mount["Source"], mount["ReadOnly"]) for mount in host["Mounts"]] == [
        (str(ground.home / "lakes" / "payments"), str(ground.home / "lakes" / "payments"), True),
        ("/stage", str(home / "stages" / "s1"), True),
        (str(home / "scratch"), str(home / "scratch"), False),
        ("/run/datacanal", str(home / "channels" / "c1"), True),
    ]


def test_marks_that_were_not_given_are_no_labels(ground: Ground) -> None:
    assert not {"datacanal.job", "datacanal.step", "datacanal.fence"} & set(
        configured(ground, specification())["Labels"]
    )


def test_the_runtime_is_the_sites_choice(ground: Ground) -> None:
    assert "Runtime" not in configured(ground, specification())["HostConfig"]
    chosen = hardened(specification(), ground.core, replace(ground.settings, runtime="runsc"), FOUND)
    assert chosen["HostConfig"]["Runtime"] == "runsc"


def test_a_launcher_in_a_container_mounts_what_the_host_calls_the_folder(ground: Ground) -> None:
    paths = {ground.home: Path("/srv/all"), ground.core.home.path: Path("/srv/core")}
    made = hardened(specification(), ground.core, replace(ground.settings, paths=paths), FOUND)
    mounts = {mount["Target"]: mount["Source"] for mount in made["HostConfig"]["Mounts"]}
    assert mounts["/run/datacanal"] == "/srv/core/channels/c1"
    assert mounts[str(ground.home / "lakes" / "payments")] == "/srv/all/lakes/payments"


def test_only_allowed_images_run(ground: Ground) -> None:
    def chosen(**changed: Any) -> str:
        return chosen_image(specification(**changed).image, ground.core, ground.settings)

    assert chosen() == "datacanal-worker:latest"
    assert chosen(image=ALLOWED) == ALLOWED
    with pytest.raises(ContainerRefused, match="not allowed"):
        chosen(image=IMAGE)


def test_a_lake_of_another_site_is_not_found(ground: Ground) -> None:
    with pytest.raises(NotFound):
        mounts_of(specification(), ground.crm)


def test_nobody_runs_as_root(tmp_path: Path) -> None:
    owner = tmp_path.stat()
    expected = User(NOBODY, NOBODY) if owner.st_uid == 0 else User(owner.st_uid, owner.st_gid)
    assert user_of(tmp_path) == expected


# ---------------------------------------------------------------- folders


def refused(ground: Ground, wanted: ContainerSpecification) -> str:
    with pytest.raises(ContainerRefused) as refusal:
        check_folders(mounts_of(wanted, ground.core), "core")
    return refusal.value.detail


def test_folders_that_are_there_may_be_mounted(ground: Ground) -> None:
    check_folders(mounts_of(specification(), ground.core), "core")


def test_a_folder_that_is_not_there_is_refused(ground: Ground) -> None:
    assert "channels/c9 does not exist" in refused(ground, specification(channel="c9"))


@pytest.mark.parametrize("target", ["/etc", "{home}/channels/c2"])
def test_a_link_in_place_of_a_folder_is_refused(ground: Ground, target: str) -> None:
    channels = ground.core.home.path / "channels"
    (channels / "link").symlink_to(target.format(home=ground.core.home.path))
    assert "reached through a link" in refused(ground, specification(channel="link"))


def test_a_link_on_the_way_to_a_folder_is_refused(ground: Ground) -> None:
    stages = ground.core.home.path / "stages"
    stages.rename(stages.with_name("elsewhere"))
    stages.symlink_to(stages.with_name("elsewhere"))
    assert "reached through a link" in refused(ground, specification())


def test_links_that_lead_nowhere_are_refused(ground: Ground) -> None:
    (ground.core.home.path / "channels" / "loop").symlink_to("loop")
    assert "cannot be looked at" in refused(ground, specification(channel="loop"))


def test_a_file_in_place_of_a_folder_is_refused(ground: Ground) -> None:
    (ground.core.home.path / "channels" / "file").write_text("")
    assert "is not a directory" in refused(ground, specification(channel="file"))


# ---------------------------------------------------------------- whatever is sent

SOUND = specification().model_dump(mode="json")
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=60),
    st.sampled_from(
        ["..", "../..", "/", "/etc", "c1/../../..", "a" * 48, "c2", "driver", ALLOWED, IMAGE, "účty", "s1\n"]
    ),
    st.lists(st.sampled_from(["payments", "účty", "nowhere", "..", "/"]), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
FIELDS = st.sampled_from([*SOUND, "Privileged", "privileged", "command", "mounts", "env", "HostConfig"])
CHANGED = st.dictionaries(FIELDS, ODD, max_size=4).map(lambda changed: {**SOUND, **changed})
BODIES = st.one_of(
    CHANGED.map(lambda body: json.dumps(body).encode()),
    st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)).map(
        lambda body: json.dumps(body).encode()
    ),
    st.binary(max_size=60),
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    for folder in ("channels/link", "stages/link"):
        (ground.core.home.path / folder).symlink_to("/etc")
    return ground


@given(body=BODIES)
@settings(max_examples=600, deadline=None, derandomize=True, database=None)
def test_whatever_is_sent_is_refused_or_hardened(lasting: Ground, body: bytes) -> None:
    try:
        wanted = parse_document(ContainerSpecification, body)
        check_folders(mounts_of(wanted, lasting.core), "core")
        chosen_image(wanted.image, lasting.core, lasting.settings)
    except DatacanalError as refusal:
        assert 400 <= status_of(refusal) < 500  # noqa: PT017  # most are refused, and each must say so as a 4xx
        return
    made = hardened(wanted, lasting.core, lasting.settings, FOUND)
    assert broken_walls(made, made["HostConfig"]) == []
    assert foreign_sources(made["HostConfig"], folders_of(lasting)) == []


@pytest.mark.parametrize(
    "change", [{"memory_bytes": 2**31}, {"cpus": 2}, {"lakes": []}, {"fence": 3}, {"tmp_bytes": 2**20}]
)
def test_sound_ones_are_not_refused(lasting: Ground, change: dict[str, Any]) -> None:
    wanted = parse_document(ContainerSpecification, json.dumps({**SOUND, **change}).encode())
    assert hardened(wanted, lasting.core, lasting.settings, FOUND)["Labels"]["datacanal.boot"] == BOOT
