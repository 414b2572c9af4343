"""Tests that need an engine say what is missing, and run on images of this code only."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from images.origin import SOURCE_LABEL
from tests.plugins import engine, skips

WORKER = "datacanal-worker:latest"
TESTS = """
    import pytest

    @pytest.mark.docker
    def test_of_a_container():
        pass

    @pytest.mark.docker("datacanal-server:latest")
    def test_of_the_server():
        pass

    def test_of_neither():
        pass
"""


class EngineWith:
    """An engine with these images by name, each built of the code that it says."""

    def __init__(self, images: Mapping[str, str]) -> None:
        self._images = images

    def has(self, image: str) -> bool:
        return image in self._images

    def labels(self, image: str) -> Mapping[str, str]:
        return {SOURCE_LABEL: self._images[image]}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Three tests in a process of their own, whose engine is nowhere."""
    monkeypatch.delenv(skips.VARIABLE, raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{pytester.path}/none.sock")
    monkeypatch.setenv("PYTHONPATH", str(engine.ROOT), prepend=":")
    pytester.makeini("[pytest]\nmarkers =\n    docker(image): needs an engine\n")
    pytester.makeconftest('pytest_plugins = ["tests.plugins.engine", "tests.plugins.skips"]')
    pytester.makepyfile(TESTS)
    return pytester


def test_an_image_of_this_code_lacks_nothing() -> None:
    assert engine.lack(EngineWith({WORKER: "this"}), WORKER, "this") == ""


def test_an_image_that_is_not_there_is_named_with_the_command_that_makes_it() -> None:
    assert engine.lack(EngineWith({}), WORKER, "this") == "no image datacanal-worker:latest: make images"


def test_an_image_of_other_code_is_as_good_as_none() -> None:
    said = engine.lack(EngineWith({WORKER: "older"}), WORKER, "this")
    assert said == "datacanal-worker:latest was built of other code than this: make images"


def test_without_an_engine_what_needs_one_is_skipped_aloud(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*2 × No Docker engine answers*"])


def test_where_docker_is_required_the_lack_of_an_engine_fails(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(skips.VARIABLE, "docker")
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*DATACANAL_REQUIRE forbids skipping docker: No Docker engine answers*"])
