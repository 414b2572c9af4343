"""`datacanal up`: every part of a configuration on this machine, in the foreground."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from datacanal.cli.supervisor import Part, Supervisor
from datacanal.configuration import Configuration, DoorSection, url_of
from datacanal.domain.errors import FileNotWritable
from datacanal.homes import PUBLIC_CERTIFICATE, only_one
from datacanal.protocol.public import SiteList

_LOOK_S = 0.1
_SLOW_S = 15.0
_REPORT_S = 30.0


def run_up(configuration: Configuration, on_ready: Callable[[], None]) -> int:
    """Start everything, keep it running, stop it on SIGINT, SIGTERM or SIGHUP; gives the exit code.

    Raises `AlreadyRunning` when another `up` works on the same state.
    """
    with one_instance(configuration.home):
        introduce_sites(configuration)
        supervisor = Supervisor(parts_of(configuration), tell)
        watcher = threading.Thread(target=_watch_parts, args=(configuration, supervisor), name="readiness", daemon=True)
        with _stopped_by_signals(supervisor):
            watcher.start()
            return supervisor.run(on_ready)


def tell(line: str) -> None:
    """One message on stderr."""
    print(line, file=sys.stderr, flush=True)


def parts_of(configuration: Configuration) -> list[Part]:
    """The control plane, every site and the gateway; before them the launcher, where a pool needs it."""
    logs = configuration.home / "logs"
    config = ["--config", str(configuration.file)]
    sites = [Part(f"site {site.name}", ["serve", "site", site.name, *config], logs / f"site-{site.name}.log")
             for site in configuration.sites]  # fmt: skip
    gateway = (
        [] if configuration.gateway is None else [Part("gateway", ["serve", "gateway", *config], logs / "gateway.log")]
    )
    control = Part("control", ["serve", "control", *config], logs / "control.log")
    if all(site.pool.backend == "local" for site in configuration.sites):
        return [control, *sites, *gateway]
    launcher = Part("launcher", ["serve", "launcher", *config], logs / "launcher.log", serves_others=True)
    return [launcher, control, *sites, *gateway]


@contextmanager
def one_instance(home: Path) -> Iterator[None]:
    """Hold the lock of this state. Raises `AlreadyRunning` or `FileNotWritable`."""
    with ExitStack() as held:
        try:
            held.enter_context(only_one(home, "up.lock"))
        except OSError as error:
            raise FileNotWritable(file=str(home), reason=error.strerror or str(error)) from None
        yield


def introduce_sites(configuration: Configuration) -> None:
    """Let each site of this machine pin the others: they have one owner, who need not compare fingerprints.

    Raises `FileNotWritable` where a home belongs to somebody else.
    """
    # As in `parts`: commands that start nothing do not pay for the import.
    from datacanal.site.identity import load_identity
    from datacanal.site.peers import pin

    homes = {site.name: configuration.site_home(site.name) for site in configuration.sites}
    try:
        for home in homes.values():
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificates = [load_identity(home, site, os.urandom).certificate for site, home in homes.items()]
        for certificate in certificates:
            for site, home in homes.items():
                if site != certificate.site:
                    pin(home, certificate)
    except OSError as error:
        raise FileNotWritable(file=str(error.filename), reason=error.strerror or str(error)) from None


@contextmanager
def _stopped_by_signals(supervisor: Supervisor) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: supervisor.ask_stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_parts(configuration: Configuration, supervisor: Supervisor) -> None:
    """Report once when everything is there; say what is missing when that takes long."""
    slow_at = time.monotonic() + _SLOW_S
    with ExitStack() as closing:
        http: httpx.Client | None = None
        while missing := _missing_parts(http, configuration):
            if time.monotonic() > slow_at:
                tell(f"still waiting for {', '.join(missing)} (logs: {configuration.home / 'logs'})")
                slow_at = float("inf")
            time.sleep(_LOOK_S)
            if http is None and (http := _own_client(configuration)) is not None:
                closing.enter_context(http)
    supervisor.report_ready()


def _own_client(configuration: Configuration) -> httpx.Client | None:
    """For the control plane of this configuration, known by its certificate; None until that was made."""
    verify: ssl.SSLContext | bool = True
    if configuration.control.is_secured:
        # As above.
        from datacanal.serving.tls import pinned_client

        own = configuration.control.certificate or configuration.home / PUBLIC_CERTIFICATE
        try:
            verify = pinned_client(own.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
    return httpx.Client(base_url=configuration.control_url, timeout=_REPORT_S, trust_env=False, verify=verify)


def _missing_parts(http: httpx.Client | None, configuration: Configuration) -> list[str]:
    """What is not there yet. Asked with this state's own token, as another service may hold the address."""
    try:
        token = (configuration.home / "admin.token").read_text("utf-8").strip()
        if http is None:
            return ["the control plane"]
        http.headers["Authorization"] = f"Bearer {token}"
        sites = SiteList.model_validate_json(http.get("/v1/sites").content).sites
        connected = {site.name for site in sites if site.connected}
        missing = [f"site {site.name}" for site in configuration.sites if site.name not in connected]
        # A site that has just connected has not told its datasets yet; this answers when all have.
        if not missing and http.post("/v1/datasets/refresh").is_error:
            return ["the catalogue"]
    except (httpx.HTTPError, ValueError, OSError):
        return ["the control plane"]
    return missing if configuration.gateway is None or _answers(configuration.gateway) else [*missing, "the gateway"]


def _answers(door: DoorSection) -> bool:
    """Whether somebody listens there; who it is, its own certificate tells its callers."""
    host, _, port = urlsplit(url_of(door)).netloc.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REPORT_S).close()
    except OSError:
        return False
    return True
