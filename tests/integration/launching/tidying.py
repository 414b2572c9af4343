"""The launcher's reconciler for one site of an estate, in this process, so that a test can tell it the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.launching.estate import ENGINE, Estate
from tests.integration.launching.site import Site

from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.bridges import shut_bridge
from datacanal.site.launcher.docker_engine import DockerEngine
from datacanal.site.launcher.household import Household
from datacanal.site.launcher.reconciler import Reconciler
from datacanal.site.launcher.settings import user_of


@contextmanager
def tidying(estate: Estate, site: Site) -> Iterator[Reconciler]:
    """For an estate whose launcher is down."""
    settings = estate.settings
    engine = DockerEngine(f"unix://{ENGINE}")
    boots = Boots(settings.home / "boots.json")
    user = user_of(site.ground.home.path)
    yield Reconciler(Household(site.ground, user, settings, engine, boots, list, shut_bridge))
    engine.close()
