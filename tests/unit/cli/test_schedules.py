"""`datacanal schedule` before it asks anybody."""

from __future__ import annotations

import pytest

from datacanal.cli.main import run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--catch-up", "some", "SELECT 1"], "none, last, all"),
        ([], "give the statement"),
        (["--param", "novalue", "SELECT 1"], "--param name=value"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schedule", "create", "daily", "--cron", "0 6 * * *", *arguments]) == 2
    assert says in capsys.readouterr().err
