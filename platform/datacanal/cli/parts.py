"""`datacanal init`, `check`, `up` and `serve`: the service itself, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.exits import WRONG_USAGE
from datacanal.cli.init import Layout, make_directory
from datacanal.cli.text import visible
from datacanal.cli.up import run_up
from datacanal.configuration import load_configuration, url_of
from datacanal.domain.errors import BadConfiguration, BadPolicy, LakeUnreadable
from datacanal.logs import configure_logs

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.")]
_DEFAULT = Path("datacanal.toml")


def add_to(app: typer.Typer) -> None:
    """The commands."""
    app.command("init")(init)
    app.command("check")(check)
    app.command("up")(up)
    serve = typer.Typer(help="Run one part by itself, in the foreground.", no_args_is_help=True)
    serve.command("control")(serve_control)
    serve.command("site")(serve_site)
    serve.command("gateway")(serve_gateway)
    serve.command("launcher")(serve_launcher)
    app.add_typer(serve, name="serve")


def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")]) -> None:
    """Make a commented configuration, two policies and two empty lakes to start from."""
    file = make_directory(directory, Layout())
    print(f"made {file}")
    print(f"next: datacanal dataset import --config {file} FILE --lake transactions --name payments")
    print(f"then: datacanal up --config {file}")
    print(f"ask:  DATACANAL_HOME={directory / 'state'} datacanal dataset list")


def check(config: Config = _DEFAULT) -> None:
    """Validate the configuration, every policy against its lake, and the database, without starting anything."""
    configuration = load_configuration(config)
    # Each process loads only the part that it is or asks: the import is not paid by the other commands.
    from datacanal.site.checking import check_lakes
    from datacanal.storage.databases import check_database

    check_database(configuration.control.database)

    found_wrong = False
    for site in configuration.sites:
        with _refusing_lakes(config):
            checked = check_lakes(site, datetime.now(UTC))
        for kind, lines in (("warning", checked.warnings), (BadPolicy.code, checked.problems)):
            for line in lines:
                print(f"{kind}: {visible(line)}", file=sys.stderr)
        found_wrong = found_wrong or bool(checked.problems)
    if found_wrong:
        raise typer.Exit(WRONG_USAGE)
    lakes = [lake.name for site in configuration.sites for lake in site.lakes]
    print(f"{config}: valid ({len(configuration.sites)} sites; lakes: {', '.join(lakes) or 'none'})")


def up(config: Config = _DEFAULT) -> None:
    """Run everything on this machine in the foreground until SIGINT or SIGTERM."""
    configuration = load_configuration(config)
    lines = [f"ready: {configuration.control_url}"]
    if configuration.gateway is not None:
        lines.append(f"gateway: {url_of(configuration.gateway)}")
    raise typer.Exit(run_up(configuration, lambda: print("\n".join(lines), flush=True)))


def serve_control(config: Config = _DEFAULT) -> None:
    """Run the control plane."""
    configuration = load_configuration(config)
    # As above.
    from datacanal.control.service import serve_control as serve

    configure_logs("control")
    serve(configuration)


def serve_site(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A site of the configuration.")], config: Config = _DEFAULT
) -> None:
    """Run the agent and the worker pool of one site."""
    configuration = load_configuration(config)
    configuration.site(name)
    # As above.
    from datacanal.site.service import serve_site as serve

    with _refusing_lakes(config):
        serve(configuration, name)


@contextmanager
def _refusing_lakes(config: Path) -> Iterator[None]:
    """A lake that cannot be read at the start is a wrong configuration; trying the same again would not help."""
    try:
        yield
    except LakeUnreadable as error:
        raise BadConfiguration(file=str(config), key="sites.lakes.url", reason=error.detail) from None


def serve_gateway(
    config: Config = _DEFAULT,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where, instead of what the configuration says.")
    ] = None,
) -> None:
    """Run a gateway: developers call data products there. Any number may run, each on an address of its own."""
    configuration = load_configuration(config)
    section = configuration.gateway_on(listen)
    # As above.
    from datacanal.gateway.service import serve_gateway as serve

    configure_logs("gateway")
    serve(configuration, section)


def serve_launcher(config: Config = _DEFAULT) -> None:
    """Run the launcher: the process that alone holds the Docker socket."""
    configuration = load_configuration(config)
    # As above.
    from datacanal.site.launcher.service import serve_launcher as serve

    serve(configuration)
