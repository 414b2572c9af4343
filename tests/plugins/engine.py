"""Tests marked `docker` run against a real engine, on images of this very code; where they cannot, they say why.

`@pytest.mark.docker` needs the worker's image, `@pytest.mark.docker(SERVER)` the images it names.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import docker
import pytest
from images.engine import Engine
from images.failures import CannotBuild
from images.origin import SOURCE_LABEL
from images.wheels import source_digest
from tests.image_names import WORKER

ROOT = Path(__file__).parents[2]
_ANSWER_S = 10


def lack(engine: Engine, image: str, source: str) -> str:
    """Why tests cannot run on the image, empty where they can."""
    if not engine.has(image):
        return f"no image {image}: make images"
    if engine.labels(image).get(SOURCE_LABEL) != source:
        return f"{image} was built of other code than this: make images"
    return ""


@cache
def lack_here(image: str) -> str:
    """The same of this machine's engine and this tree, or that there is no engine."""
    try:
        with Engine(timeout_s=_ANSWER_S) as engine:
            return lack(engine, image, source_digest(ROOT))
    except CannotBuild as failure:
        reason = failure.what
    # The library leaves the socket open over which nobody answered; no later test shall be blamed for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return reason


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("docker")
    for image in (marker.args or (WORKER,)) if marker else ():
        if reason := lack_here(image):
            pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The engine, for tests that are marked `docker`. What they make they name `datacanal-…` and remove."""
    client = docker.from_env()
    yield client
    client.close()
