"""The images as they are: who runs in them, what they hold and what not, and that building them reaches nothing."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import docker
import pytest
from images.engine import Engine
from images.failures import CannotBuild
from tests.image_names import SERVER, WORKER

import datacanal

pytestmark = pytest.mark.docker(WORKER, SERVER)

BOTH = pytest.mark.parametrize("image", [WORKER, SERVER])
PYTHON = "/opt/datacanal/bin/python"
COMPILERS = ("gcc", "g++", "cc", "c++", "as", "ld", "make", "clang", "tcc", "go", "rustc", "pip", "pip3", "uv")
_ALL_PATHS = "/opt/datacanal/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HARDENED: Mapping[str, object] = {
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 128,
    "mem_limit": "1g",
}
_WRITABLE = """
import json, os
found = []
for root in ("/opt", "/usr", "/etc", "/var/lib/dpkg"):
    for folder, folders, files in os.walk(root):
        found += [p for p in (os.path.join(folder, n) for n in [*folders, *files])
                  if not os.path.islink(p) and os.access(p, os.W_OK)]
print(json.dumps([os.access("/opt", os.W_OK), found]))
"""
_SETUID = """
import json, os, stat
found = []
for folder, _, files in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev")):
        continue
    for path in (os.path.join(folder, name) for name in files):
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            found.append(path)
print(json.dumps(found))
"""
_LEFT = """
import json, os
found = []
for folder, _, files in os.walk("/", onerror=lambda error: None):
    if folder.startswith(("/proc", "/sys", "/dev")):
        continue
    found += [os.path.join(folder, name) for name in files if name.endswith((".whl", ".deb"))
              or name in ("pip.conf", "pip.ini", "uv.toml", "sources.list", ".netrc")]
    if folder.endswith(("/pip", "/.cache", "/build", "/made")):
        found.append(folder)
print(json.dumps(found))
"""


def run(client: docker.DockerClient, image: str, program: str, **settings: object) -> str:
    """What a Python program prints in a hardened container of the image."""
    name = f"datacanal-test-{uuid.uuid4().hex[:12]}"
    chosen = {**HARDENED, **settings}
    command = ["-c", program]
    printed: bytes = client.containers.run(image, command, entrypoint=[PYTHON], name=name, remove=True, **chosen)
    return printed.decode()


# ---------------------------------------------------------------- who


@BOTH
def test_it_runs_as_a_numeric_user_that_is_nobody(docker_client: docker.DockerClient, image: str) -> None:
    assert docker_client.images.get(image).attrs["Config"]["User"] == "65532:65532"
    ids = run(docker_client, image, "import os; print(os.getresuid(), os.getresgid(), os.getgroups())")
    assert re.findall(r"\d+", ids) == ["65532"] * 7


@BOTH
def test_nothing_in_it_makes_its_runner_somebody_else(docker_client: docker.DockerClient, image: str) -> None:
    assert json.loads(run(docker_client, image, _SETUID, user="0:0", cap_add=["DAC_OVERRIDE"])) == []


@BOTH
def test_its_user_can_change_neither_code_nor_system(docker_client: docker.DockerClient, image: str) -> None:
    assert json.loads(run(docker_client, image, _WRITABLE, read_only=False)) == [False, []]


# ---------------------------------------------------------------- what


def test_a_worker_has_what_jobs_need_without_network_capabilities_or_a_writable_root(
    docker_client: docker.DockerClient,
) -> None:
    program = "import datacanal, duckdb, pyarrow, distributed, dask.dataframe, pandas; print(datacanal.__version__)"
    assert run(docker_client, WORKER, program).strip() == datacanal.__version__


def test_a_server_has_the_command_and_nothing_that_builds(docker_client: docker.DockerClient) -> None:
    name = f"datacanal-test-{uuid.uuid4().hex[:12]}"
    printed: bytes = docker_client.containers.run(SERVER, ["--version"], name=name, remove=True, **HARDENED)
    assert printed.decode().strip() == f"datacanal {datacanal.__version__}"
    find = "import importlib.util as u; print([n for n in ('docker', 'setuptools', 'pip') if u.find_spec(n)])"
    assert run(docker_client, SERVER, find).strip() == "['docker']"


def test_a_server_keeps_its_state_in_a_folder_that_is_its_own(docker_client: docker.DockerClient) -> None:
    program = "import os; s = os.stat('.'); print(os.getcwd(), s.st_uid, oct(s.st_mode & 0o777))"
    assert run(docker_client, SERVER, program).split() == ["/var/lib/datacanal", "65532", "0o700"]


def test_a_worker_starts_the_program_that_is_told_its_role(docker_client: docker.DockerClient) -> None:
    entry = docker_client.images.get(WORKER).attrs["Config"]["Entrypoint"]
    assert entry == [PYTHON, "-m", "datacanal.site.engine.boxed"]


@BOTH
def test_python_takes_no_module_from_where_it_stands_and_writes_none(
    docker_client: docker.DockerClient, image: str
) -> None:
    program = "import sys; print(sys.flags.safe_path, sys.dont_write_bytecode, '' in sys.path)"
    assert run(docker_client, image, program).split() == ["True", "True", "False"]


@BOTH
def test_its_code_is_compiled_and_stands_where_tracebacks_say(docker_client: docker.DockerClient, image: str) -> None:
    program = """
import os, datacanal.lifeline as own, httpx._api as other
for module, function in ((own, own.hold_on), (other, other.get)):
    print(os.path.exists(module.__cached__), os.path.exists(function.__code__.co_filename))
"""
    assert run(docker_client, image, program).split() == ["True"] * 4


# ---------------------------------------------------------------- what not


@BOTH
def test_it_has_no_compiler_and_no_installer(docker_client: docker.DockerClient, image: str) -> None:
    program = f"import shutil; print([name for name in {COMPILERS!r} if shutil.which(name, path='{_ALL_PATHS}')])"
    assert run(docker_client, image, program).strip() == "[]"
    assert run(docker_client, image, "import importlib.util as u; print(u.find_spec('pip'))").strip() == "None"


@BOTH
def test_nothing_of_the_build_is_left_in_it(docker_client: docker.DockerClient, image: str) -> None:
    assert json.loads(run(docker_client, image, _LEFT, user="0:0", cap_add=["DAC_OVERRIDE"])) == []


@BOTH
def test_no_address_of_an_index_or_a_proxy_is_in_its_configuration(
    docker_client: docker.DockerClient, image: str
) -> None:
    configured = docker_client.images.get(image).attrs["Config"]["Env"]
    names = {each.partition("=")[0] for each in configured}
    assert names == {"PATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE"}
    assert not any("://" in each for each in configured)
    steps = docker_client.images.get(image).history()
    assert not [step["CreatedBy"] for step in steps if "://" in step["CreatedBy"]]


@BOTH
def test_it_says_what_it_was_made_of(docker_client: docker.DockerClient, image: str) -> None:
    labels = docker_client.images.get(image).labels
    assert labels["org.opencontainers.image.version"] == datacanal.__version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["org.opencontainers.image.revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", labels["org.opencontainers.image.created"])
    repository, _, tag = image.partition(":")
    tags = {"latest", datacanal.__version__} if tag == "latest" else {tag}
    assert {f"{repository}:{each}" for each in tags} <= set(docker_client.images.get(image).tags)


# ---------------------------------------------------------------- the build


def build(parts: Mapping[str, bytes], tags: Sequence[str], scratch: Path) -> None:
    with Engine() as engine:
        engine.build(parts, tags, {}, {}, scratch)


@pytest.fixture
def tag(docker_client: docker.DockerClient) -> Iterator[str]:
    """A name for an image that is removed again."""
    name = f"datacanal-test-{uuid.uuid4().hex[:12]}:latest"
    yield name
    if docker_client.images.list(name):
        docker_client.images.remove(name)


def test_a_build_step_sees_no_network(docker_client: docker.DockerClient, tag: str, tmp_path: Path) -> None:
    look = "import socket; assert [name for _, name in socket.if_nameindex()] == ['lo'], socket.if_nameindex()"
    dockerfile = f'FROM {WORKER}\nRUN ["{PYTHON}", "-c", "{look}"]\n'
    build({"Dockerfile": dockerfile.encode()}, [tag], tmp_path)
    assert docker_client.images.get(tag).attrs["Config"]["User"] == "65532:65532"


def test_a_step_that_fails_is_told_with_what_it_said(tag: str, tmp_path: Path) -> None:
    dockerfile = f'FROM {WORKER}\nRUN ["{PYTHON}", "-c", "import sys; sys.exit(\'no such wheel\')"]\n'
    with pytest.raises(CannotBuild, match="no such wheel"):
        build({"Dockerfile": dockerfile.encode()}, [tag], tmp_path)
