"""What a site does not get from its launcher: another's containers, other folders than its own, other images."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator

import docker
import pytest
from tests.e2e.apart import ABSENT, as_user, can_run
from tests.image_names import SERVER, WORKER
from tests.integration.launching.estate import Estate
from tests.integration.launching.site import OWNER, Site, owned

pytestmark = pytest.mark.docker(WORKER, SERVER)

NO_IMAGE = f"sha256:{'0' * 64}"
_OPEN = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture(scope="module")
def volumes(docker_client: docker.DockerClient) -> Iterator[str]:
    """The id of an image that declares a volume."""
    name = f"datacanal-test-{uuid.uuid4().hex[:12]}"
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    docker_client.api.import_image_from_data(empty.getvalue(), repository=name, changes=["VOLUME /data"])
    yield str(docker_client.images.get(name).id)
    docker_client.images.remove(name)


@pytest.fixture(scope="module")
def served(docker_client: docker.DockerClient, volumes: str) -> Iterator[Estate]:
    """By a launcher that allows the server's image, one with a volume, and one that is not there."""
    allowed = [docker_client.images.get(SERVER).id, volumes, NO_IMAGE]
    with Estate(docker_client, images=allowed) as estate:
        estate.launch()
        yield estate


@pytest.fixture
def core(served: Estate) -> Site:
    """Of a new boot, with an empty network for the pool p1."""
    served.core.boots("p1")
    return served.core


def refused(served: Estate, core: Site, **changed: object) -> str:
    """The code with which a container is refused, of which nothing is left."""
    wanted = core.specification("worker-1", **changed)
    code = core.code_of(lambda client: client.start(wanted))
    assert served.containers(core) == []
    return code


# ---------------------------------------------------------------- other sites


def test_another_site_neither_sees_nor_reads_nor_removes_a_container(served: Estate, core: Site) -> None:
    inmate = core.put("worker-1")
    crm = served.crm
    crm.boots()
    assert crm.ask(lambda client: client.states()) == []
    assert crm.code_of(lambda client: client.logs("worker-1")) == "not_found"
    assert crm.code_of(lambda client: client.wait("worker-1", 0)) == "not_found"
    crm.ask(lambda client: client.remove("worker-1"))
    crm.ask(lambda client: client.remove_network("p1"))
    crm.boots()
    assert inmate.do("print(1)").strip() == "1"
    assert len(served.networks(core)) == 1


def test_sites_use_the_same_names_beside_one_another(served: Estate, core: Site) -> None:
    served.crm.boots("p1")
    for site in (core, served.crm):
        inmate = site.put("worker-1")
        assert inmate.find(f"import json, os; print(json.dumps(os.listdir({str(site.lake.parent)!r})))") == [
            site.lake.name
        ]
    (mine,), (theirs,) = served.networks(core), served.networks(served.crm)
    assert mine.id != theirs.id
    served.crm.ask(lambda client: client.remove("worker-1"))
    assert [state.name for state in core.ask(lambda client: client.states())] == ["worker-1"]


def test_a_lake_of_another_site_is_not_given(served: Estate, core: Site) -> None:
    assert refused(served, core, lakes=["users"]) == "not_found"


@pytest.mark.users
@pytest.mark.skipif(not can_run(), reason=ABSENT)
def test_only_the_owner_of_a_sites_home_opens_its_socket(served: Estate) -> None:
    def opens(site: Site) -> bool:
        command = as_user(OWNER, [sys.executable, "-c", _OPEN, str(site.socket)])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
        return done.returncode == 0

    assert [opens(served.core), opens(served.crm)] == [True, False]


# ---------------------------------------------------------------- other folders


@pytest.mark.parametrize("missing", [{"stage": "s9"}, {"stage": "lakes"}])
def test_a_stage_that_is_not_there_is_refused(served: Estate, core: Site, missing: dict[str, str]) -> None:
    assert refused(served, core, **missing) == "container_refused"


def test_a_lake_that_became_a_link_is_refused(served: Estate, core: Site) -> None:
    moved = core.lake.rename(core.lake.with_name("moved"))
    core.lake.symlink_to("/etc")
    try:
        assert refused(served, core) == "container_refused"
    finally:
        core.lake.unlink()
        moved.rename(core.lake)


@pytest.mark.parametrize("place", ["channels/linked", "stages/linked"])
def test_a_folder_of_its_own_that_is_a_link_is_refused(served: Estate, core: Site, place: str) -> None:
    folder, _, name = place.partition("/")
    link = core.ground.home.path / place
    wanted = core.specification("worker-1", **{folder.removesuffix("s"): name})
    if link.exists():
        link.rmdir()
    link.symlink_to(served.crm.lake)
    try:
        assert core.code_of(lambda client: client.start(wanted)) == "container_refused"
        assert served.containers(core) == []
    finally:
        link.unlink()


def test_a_folder_below_one_that_became_a_link_is_refused(served: Estate, core: Site) -> None:
    stages = core.ground.home.path / "stages"
    moved = stages.rename(stages.with_name("moved"))
    owned(served.folder / "elsewhere" / "s1", OWNER)
    stages.symlink_to(served.folder / "elsewhere")
    try:
        assert refused(served, core) == "container_refused"
    finally:
        stages.unlink()
        moved.rename(stages)


def test_a_file_is_not_mounted_for_a_folder(served: Estate, core: Site) -> None:
    wanted = core.specification("worker-1", stage="file")
    (core.ground.home.path / "stages" / "file").touch()
    assert core.code_of(lambda client: client.start(wanted)) == "container_refused"


# ---------------------------------------------------------------- other images


def test_an_image_that_is_allowed_is_run(docker_client: docker.DockerClient, served: Estate, core: Site) -> None:
    image = docker_client.images.get(SERVER).id
    core.put("worker-1", image=image).do("")
    assert served.inspected(core, "worker-1")["Image"] == image


def test_an_image_that_is_not_allowed_is_not_run(
    docker_client: docker.DockerClient, served: Estate, core: Site
) -> None:
    assert refused(served, core, image=docker_client.images.get(WORKER).id) == "container_refused"


def test_an_image_that_does_not_exist_is_told(served: Estate, core: Site) -> None:
    assert refused(served, core, image=NO_IMAGE) == "image_not_found"


def test_an_image_with_a_volume_is_not_run(served: Estate, core: Site, volumes: str) -> None:
    assert refused(served, core, image=volumes) == "container_engine_refused"
