"""A container of the launcher from inside, and the engine's own account of it: every wall that was asked for stands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from tests.image_names import WORKER
from tests.integration.launching.estate import Estate
from tests.integration.launching.inmate import Inmate
from tests.integration.launching.programs import (
    CREDENTIALS,
    FILL,
    FORBIDDEN,
    FORKS,
    HARM,
    MOUNTS,
    RUN,
    STATUS,
    WRITABLE_PLACES,
)
from tests.integration.launching.site import MIB, OWNER, owned_file
from tests.unit.site.launcher.hardened import FLAGS, broken_walls, foreign_sources

from datacanal.site.launcher.hardening import ENVIRONMENT
from datacanal.site.launcher.settings import NOBODY

pytestmark = pytest.mark.docker

WRITABLE = "/tmp", "/work", "/dev/shm", "/dev/mqueue"  # noqa: S108  # in the container


@pytest.fixture(scope="module")
def served(docker_client: docker.DockerClient) -> Iterator[Estate]:
    with Estate(docker_client) as estate:
        estate.launch()
        yield estate


@pytest.fixture(scope="module")
def inside(served: Estate) -> Inmate:
    """A worker with a lake, a stage and scratch, of the pool p1."""
    served.core.boots("p1")
    return served.core.put("worker-1")


@pytest.fixture(scope="module")
def account(served: Estate, inside: Inmate) -> dict[str, Any]:
    """The engine's, of that worker."""
    return served.inspected(served.core, inside.name)


@pytest.fixture(scope="module")
def status(inside: Inmate) -> dict[str, str]:
    """The kernel's, of the process inside."""
    return {name: value.strip() for name, value in inside.find(STATUS).items()}


# ---------------------------------------------------------------- the engine's account


def test_the_engine_did_all_that_was_asked(account: dict[str, Any]) -> None:
    assert broken_walls(account["Config"], account["HostConfig"]) == []


def test_the_engine_mounts_what_is_the_sites_and_nothing_else(served: Estate, account: dict[str, Any]) -> None:
    core = served.core
    allowed = [core.lake, core.ground.home.path / "stages" / "s1", core.ground.home.path / "scratch"]
    allowed += [core.ground.home.path / "channels" / "worker-1"]
    assert foreign_sources(account["HostConfig"], allowed) == []
    assert {mount["Propagation"] for mount in account["Mounts"]} == {"rprivate"}
    binds = {mount["Destination"]: mount["RW"] for mount in account["Mounts"]}
    assert binds == {
        str(core.lake): False,
        "/stage": False,
        str(core.ground.home.path / "scratch"): True,
        "/run/datacanal": False,
    }


def test_its_only_network_is_its_pools(served: Estate, account: dict[str, Any]) -> None:
    (network,) = served.networks(served.core)
    assert [each["NetworkID"] for each in account["NetworkSettings"]["Networks"].values()] == [network.id]
    assert account["NetworkSettings"]["Ports"] == {}


# ---------------------------------------------------------------- who it is


def test_it_has_no_capability_whatever_it_does(status: dict[str, str]) -> None:
    sets = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert sets == dict.fromkeys(sets, 0)


def test_it_gains_no_privilege_by_what_it_runs(status: dict[str, str]) -> None:
    assert status["NoNewPrivs"] == "1"


def test_its_calls_of_the_kernel_are_filtered(status: dict[str, str]) -> None:
    assert status["Seccomp"] == "2"


def test_it_is_the_owner_of_the_sites_home_and_of_no_other_group(status: dict[str, str]) -> None:
    assert status["Uid"].split() == status["Gid"].split() == [str(OWNER)] * 4
    assert set(status["Groups"].split()) <= {str(OWNER)}


def test_a_site_that_is_roots_runs_as_nobody(served: Estate) -> None:
    served.crm.boots("p1")
    user = served.crm.put("worker-1").find("import json, os; print(json.dumps(os.getresuid() + os.getresgid()))")
    assert user == [os.geteuid() or NOBODY] * 6


def test_calls_that_would_change_its_walls_are_refused(inside: Inmate) -> None:
    found = inside.find(FORBIDDEN)
    assert {what: code for what, code in found.items() if code not in ("EPERM", "ENOSYS")} == {}


def test_neither_raw_packets_nor_the_kernels_memory_can_be_opened(inside: Inmate) -> None:
    assert [what for what, opened in inside.find(CREDENTIALS).items() if opened] == []


def test_it_sees_no_process_but_its_own(inside: Inmate) -> None:
    pids = inside.find('import json, os; print(json.dumps([n for n in os.listdir("/proc") if n.isdigit()]))')
    assert len(pids) == 2  # the init process and the program
    assert inside.do('print(open("/proc/1/comm").read())').strip() == "docker-init"


def test_its_environment_is_the_constant_one(docker_client: docker.DockerClient, inside: Inmate) -> None:
    environment = inside.find("import json, os; print(json.dumps(dict(os.environ)))")
    of_the_image = docker_client.images.get(WORKER).attrs["Config"]["Env"]
    constant = dict(each.split("=", 1) for each in [*of_the_image, *ENVIRONMENT, "HOSTNAME=worker-1"])
    assert environment == constant


def test_nothing_of_the_launchers_environment_can_be_read(inside: Inmate) -> None:
    program = 'import glob; print([p for p in glob.glob("/proc/*/environ") if b"canary" in open(p, "rb").read()])'
    assert inside.do(program).strip() == "[]"


# ---------------------------------------------------------------- what it can write


def test_its_root_is_read_only(inside: Inmate) -> None:
    assert inside.do('import os; print(bool(os.statvfs("/").f_flag & os.ST_RDONLY))').strip() == "True"


def test_it_can_write_to_its_scratch_and_to_bounded_memory_only(served: Estate, inside: Inmate) -> None:
    scratch = str(served.core.ground.home.path / "scratch")
    assert set(inside.find(WRITABLE_PLACES)) == {*WRITABLE, scratch}


@pytest.mark.parametrize("folder", WRITABLE)
def test_what_it_writes_to_memory_is_neither_run_nor_a_device_nor_setuid(inside: Inmate, folder: str) -> None:
    flags, kind = inside.find(MOUNTS)[folder]
    assert set(flags) >= FLAGS
    assert kind in ("tmpfs", "mqueue")


@pytest.mark.parametrize("folder", ["/tmp", "/work", "/dev/shm"])  # noqa: S108  # in the container
def test_a_program_in_memory_cannot_be_run(inside: Inmate, folder: str) -> None:
    assert inside.do(RUN.format(folder=folder)).strip() == "EACCES"


@pytest.mark.parametrize(("folder", "size"), [("/tmp", MIB), ("/work", MIB), ("/dev/shm", 16 * MIB)])  # noqa: S108
def test_memory_that_is_written_to_has_its_bound(inside: Inmate, folder: str, size: int) -> None:
    assert inside.find(FILL.format(folder=folder, most=4 * size)) <= size


@pytest.mark.parametrize("place", ["lake", "stage", "channel"])
def test_what_is_the_sites_cannot_be_changed_by_its_owner(served: Estate, inside: Inmate, place: str) -> None:
    home = served.core.ground.home.path
    folder, target = {
        "lake": (served.core.lake, str(served.core.lake)),
        "stage": (home / "stages" / "s1", "/stage"),
        "channel": (home / "channels" / "worker-1", "/run/datacanal"),
    }[place]
    owned_file(folder / "kept", "kept")
    found = inside.find(HARM.format(target=target, file="kept"))
    assert found.pop("owner")
    assert found == dict.fromkeys(found, "EROFS")
    assert (folder / "kept").read_text() == "kept"


def test_its_words_are_kept_up_to_a_bound(served: Estate, inside: Inmate) -> None:
    inside.do('import os; [os.write(2, b"%07d " % n + b"x" * 1015 + b"\\n") for n in range(4000)]')
    words = served.core.ask(lambda client: client.logs("worker-1"))
    assert len(words) <= 64 * 1024
    assert "0003999 " in words.splitlines()[-1]


# ---------------------------------------------------------------- what it can use up


def test_it_starts_so_many_processes_and_no_more(inside: Inmate) -> None:
    assert 100 < inside.find(FORKS) < 128


def test_its_files_and_its_cores_are_limited(inside: Inmate) -> None:
    program = (
        "import json, resource as r; print(json.dumps([r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE)]))"
    )
    assert inside.find(program) == [[4096, 4096], [0, 0]]


def test_what_takes_more_memory_than_it_was_given_is_killed_alone(served: Estate, inside: Inmate) -> None:
    greedy = served.core.put("worker-2", memory_bytes=48 * MIB)
    greedy.send("taken = bytearray(96 * 2**20); print(len(taken))")
    state = served.core.ask(lambda client: client.wait("worker-2"))
    assert (state.running, state.oom_killed, state.exit_code) == (False, True, 137)
    assert inside.do("print(1)").strip() == "1"
