"""Every command that a guide shows is one that there is, with options and arguments that it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from datacanal.cli.main import make_app

ROOT = Path(__file__).parents[3]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_SHOWN = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(datacanal .*)$", re.MULTILINE)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a guide's shell blocks, without the program's name."""
    for block in _SHOWN.findall(text):
        for line in _COMMAND.findall(block.replace("\\\n", " ")):
            yield shlex.split(line, comments=True)[1:]


def taken(words: list[str]) -> Any:
    """What the command line makes of them, without doing it. Raises what it tells of words that it does not take."""
    command: Any = typer.main.get_command(make_app())
    context = None
    while hasattr(command, "commands"):
        name, *words = words
        context = command.context_class(command, parent=context)
        _, command, _ = command.resolve_command(context, [name])
    return command.make_context(command.name, words, parent=context)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_every_command_of_a_guide_is_one_that_there_is(guide: Path) -> None:
    for words in commands(guide.read_text("utf-8")):
        assert taken(words).command.name in words


def test_the_guides_show_the_commands_of_metering() -> None:
    shown = {words[0] for guide in GUIDES for words in commands(guide.read_text("utf-8"))}
    assert {"login", "subscription", "key", "usage", "invoice", "ledger", "product"} <= shown


@pytest.mark.parametrize("words", ["key mint", "usage --by-day", "invoice close", "ledger verify --period x"])
def test_a_command_that_there_is_not_is_noticed(words: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing"):
        taken(words.split())
