"""`datacanal init`, `check`, `up` and `serve`: the service itself, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.init import Layout, make_directory
from datacanal.cli.up import run_up
from datacanal.configuration import Configuration, load_configuration
from datacanal.domain.errors import LakeUnreadable, NotAvailable

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


def check(config: Config = _DEFAULT) -> None:
    """Validate the configuration, the policies and the lakes' places without starting anything."""
    configuration = load_configuration(config)
    check_policies(configuration)
    lakes = [lake.name for site in configuration.sites for lake in site.lakes]
    print(f"{config}: valid ({len(configuration.sites)} sites; lakes: {', '.join(lakes) or 'none'})")


def check_policies(configuration: Configuration) -> None:
    """Raise what is wrong with the first bad policy or lake."""
    # Only this command reads policies in the command's own process; the import is not paid by the others.
    from datacanal.site.policy import load_policy

    for site in configuration.sites:
        for lake in site.lakes:
            load_policy(lake.policy)
            if not lake.path.is_dir():
                raise LakeUnreadable(lake=lake.name, url=lake.url, reason="it is not an existing directory")


def up(config: Config = _DEFAULT) -> None:
    """Run everything on this machine in the foreground until SIGINT or SIGTERM."""
    configuration = load_configuration(config)
    raise typer.Exit(run_up(configuration, lambda: print(f"ready: {configuration.control_url}", flush=True)))


def serve_control(config: Config = _DEFAULT) -> None:
    """Run the control plane."""
    configuration = load_configuration(config)
    # Each process loads only the part that it is: the agent's libraries do not belong into the control plane.
    from datacanal.control.service import serve_control as serve

    serve(configuration)


def serve_site(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A site of the configuration.")], config: Config = _DEFAULT
) -> None:
    """Run the agent and the worker pool of one site."""
    configuration = load_configuration(config)
    configuration.site(name)
    # Each process loads only the part that it is, as above.
    from datacanal.site.service import serve_site as serve

    serve(configuration, name)


def serve_gateway(config: Config = _DEFAULT) -> None:
    """Not built yet: the metered data API."""
    raise NotAvailable(key="datacanal serve gateway", what="the gateway", hint=f"Leave it out; {config} stays valid.")


def serve_launcher(config: Config = _DEFAULT) -> None:
    """Not built yet: the process that alone holds the Docker socket."""
    hint = f'Use backend = "local" in {config}.'
    raise NotAvailable(key="datacanal serve launcher", what="the launcher", hint=hint)
