"""Run the launcher until it is told to stop. Containers go on without it."""

from __future__ import annotations

import asyncio

import structlog
from starlette.concurrency import run_in_threadpool

from datacanal.configuration import Configuration
from datacanal.domain.errors import DatacanalError
from datacanal.homes import only_one
from datacanal.logs import configure_logs
from datacanal.serving.handlers import failure_fields
from datacanal.serving.runner import HttpServer, stop_asked
from datacanal.site.launcher.application import create_application
from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.bridges import shut_bridge
from datacanal.site.launcher.docker_engine import DockerEngine
from datacanal.site.launcher.doors import open_door
from datacanal.site.launcher.endings import Endings
from datacanal.site.launcher.engine import Engine
from datacanal.site.launcher.household import Household
from datacanal.site.launcher.reconciler import EVERY_S, Reconciler
from datacanal.site.launcher.settings import LauncherSettings, SiteGround, launcher_settings, socket_of, user_of
from datacanal.site.launcher.subnets import routed_here

_HOME_LOOK_S = 0.2
_log = structlog.get_logger()


def serve_launcher(configuration: Configuration) -> None:
    """Serve every site of the configuration until SIGTERM or SIGINT.

    Raises `BadConfiguration`, or `AlreadyRunning` where another launcher serves the same home. An engine that does not
    answer is told to whoever asks, and found when it is there.
    """
    configure_logs("launcher")
    run_launcher(launcher_settings(configuration))


def run_launcher(settings: LauncherSettings) -> None:
    """As `serve_launcher`."""
    with only_one(settings.home, "launcher.lock"):
        # Each site passes through it to a socket of its own.
        settings.home.chmod(0o711)
        engine = DockerEngine(settings.docker_host)
        try:
            asyncio.run(_serve(settings, engine))
        finally:
            engine.close()


async def _serve(settings: LauncherSettings, engine: Engine) -> None:
    stop = asyncio.create_task(stop_asked().wait())
    boots = Boots(settings.home / "boots.json")
    serving = [asyncio.create_task(serve_site(site, settings, engine, boots)) for site in settings.sites]
    await asyncio.wait([stop, *serving], return_when=asyncio.FIRST_COMPLETED)
    for task in (stop, *serving):
        task.cancel()
    ended = await asyncio.gather(*serving, return_exceptions=True)
    for failure in ended:
        if isinstance(failure, Exception):
            raise failure


async def serve_site(site: SiteGround, settings: LauncherSettings, engine: Engine, boots: Boots) -> None:
    """Serve one site and keep its part of the engine tidy, from when its home is there until this is cancelled."""
    while not site.home.path.is_dir():  # noqa: ASYNC110  # its agent makes it, in another process
        await asyncio.sleep(_HOME_LOOK_S)
    household = Household(site, user_of(site.home.path), settings, engine, boots, routed_here, shut_bridge)
    listening = open_door(socket_of(settings.home, site.name), site.home.path)
    server = HttpServer(create_application(household, Endings(household)), listening)
    await server.start()
    _log.info("launcher_serves", site=site.name)
    try:
        await _keep_tidy(Reconciler(household), site.name)
    finally:
        await server.stop()


async def _keep_tidy(reconciler: Reconciler, site: str) -> None:
    troubled = False
    while True:
        try:
            await run_in_threadpool(reconciler.reconcile)
            troubled = False
        except DatacanalError as error:
            if not troubled:
                _log.warning("reconciling_waits", site=site, code=error.code, detail=error.detail)
            troubled = True
        except Exception as error:
            _log.error("reconciling_broke", site=site, **failure_fields(error))
        await asyncio.sleep(EVERY_S)
