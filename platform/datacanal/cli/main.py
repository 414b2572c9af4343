"""The `datacanal` command: its groups, and what its failures look like."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from datacanal import __version__
from datacanal.cli import (
    accounts,
    approvals,
    catalogue,
    demonstration,
    invoices,
    jobs,
    keys,
    parts,
    products,
    query,
    schedules,
    sign_in,
    subscriptions,
    tokens,
    unbuilt,
    usage,
)
from datacanal.cli.exits import CANCELLED, DONE, JOB_FAILED, exit_code
from datacanal.cli.text import visible
from datacanal.domain.errors import DatacanalError

_SETTINGS = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; no failure shows a traceback unless DATACANAL_DEBUG is set."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code and has told on stderr what failed."""
    try:
        code = make_app()(list(arguments), standalone_mode=False, prog_name="datacanal")
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except TyperException as error:
        error.show()  # type: ignore[attr-defined]  # what it raises is always one of its click exceptions, which have it
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        return CANCELLED
    except (BrokenPipeError, SystemExit):  # typer turns a broken pipe into an exit, and raises none for anything else
        return _reader_left()
    except DatacanalError as error:
        tell(error)
        return exit_code(error)
    except Exception as error:
        if os.environ.get("DATACANAL_DEBUG"):
            raise
        _tell_unexpected(error)
        return JOB_FAILED


def make_app() -> typer.Typer:
    """All commands."""
    app = typer.Typer(help="Run SQL across data lakes that stay where they are.", no_args_is_help=True, **_SETTINGS)  # type: ignore[arg-type]  # the settings are of several types
    app.callback(invoke_without_command=True)(_root)
    groups = (parts, query, jobs, catalogue, approvals, products, schedules, tokens, demonstration, unbuilt)
    developers = (sign_in, accounts, subscriptions, keys, usage, invoices)
    for register in (*groups, *developers):
        register.add_to(app)
    return app


def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    ca: str = typer.Option("", "--ca", metavar="FILE", help="Who vouches for the service (PEM); else DATACANAL_CA."),
) -> None:
    if version:
        print(f"datacanal {__version__}")
        raise typer.Exit
    if ca:
        os.environ["DATACANAL_CA"] = ca  # where every client looks


def tell(error: DatacanalError) -> None:
    """Code, detail and remedy on stderr."""
    lines = [f"{error.code}: {error.detail}", error.remedy]
    print("\n".join(visible(line, keep="\n") for line in lines if line), file=sys.stderr)


def _tell_unexpected(error: Exception) -> None:
    text = visible(f"internal_error: {type(error).__name__}: {error}")
    print(f"{text}\nThis is a defect. DATACANAL_DEBUG=1 shows where it happened; report that.", file=sys.stderr)


def _reader_left() -> int:
    # Whoever read the output has enough. The interpreter must not fail again when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE
