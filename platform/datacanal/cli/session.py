"""What every command needs to talk to the service, and the options they share."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from pydantic import BaseModel

from datacanal.cli.text import table_lines
from datacanal.client import Client

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def connect() -> Client:
    """The client for DATACANAL_URL and DATACANAL_TOKEN, or the service and token of this machine."""
    return Client()


def print_json(document: BaseModel | Sequence[BaseModel]) -> None:
    """One document as an object, several as an array."""
    found = document.model_dump(mode="json", by_alias=True) if isinstance(document, BaseModel) else [
        item.model_dump(mode="json", by_alias=True) for item in document
    ]  # fmt: skip
    print(json.dumps(found, ensure_ascii=False, indent=2))


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool] = ()) -> None:
    """A table that fits the terminal; its first column, the name, is never cut, and nothing where it is no terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(names, list(rows), right=right, width=width, firm=1):
        print(line)
