"""`datacanal sql` and `datacanal explain`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.functions import asked_function, load_function, names_function, submit_function
from datacanal.cli.output import FormatOption, OutputOption, StatsOption, chosen_format, put_result, put_stats
from datacanal.cli.parameters import parse_params, split_params
from datacanal.cli.progress import follow, tell_stats
from datacanal.cli.session import AsJson, connect, print_json
from datacanal.cli.statement import read_statement
from datacanal.cli.text import visible
from datacanal.client import Client, Job
from datacanal.client.requests import python_request, statement_request
from datacanal.protocol.public import JobRequest

Query = Annotated[
    str | None, typer.Argument(metavar="QUERY", help="One SELECT, or FILE.py:FUNCTION; - reads standard input.")
]
File = Annotated[Path | None, typer.Option("-f", "--file", help="Read the statement from this file.")]
Params = Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Bind $NAME; repeatable.")]
QueueTimeout = Annotated[float | None, typer.Option("--queue-timeout", help="Seconds the job may wait.")]
RunTimeout = Annotated[float | None, typer.Option("--run-timeout", help="Seconds the job may run.")]
TotalTimeout = Annotated[float | None, typer.Option("--timeout", "--total-timeout", help="Seconds for all of it.")]
Purpose = Annotated[str | None, typer.Option("--purpose", help="What the answer is for; it is recorded.")]


def add_to(app: typer.Typer) -> None:
    """The two commands."""
    app.command("sql")(run_sql)
    app.command("explain")(explain)


def run_sql(
    query: Query = None,
    file: File = None,
    param: Params = None,
    asked: FormatOption = None,
    output: OutputOption = None,
    stats: StatsOption = None,
    queue_timeout: QueueTimeout = None,
    run_timeout: RunTimeout = None,
    total_timeout: TotalTimeout = None,
    purpose: Purpose = None,
) -> None:
    """Submit a SELECT over datasets of any site, wait, and print or write the result."""
    chosen = chosen_format(asked, output)
    request = asked_for(read_statement(query, file), param, (queue_timeout, run_timeout, total_timeout), purpose)
    with connect() as client:
        job = request(client)
        try:
            follow(job)
        finally:
            if stats is not None and job.is_finished:
                put_stats(job, stats)
        put_result(job, chosen, output)
        tell_stats(job.stats)


def asked_for(
    text: str,
    param: list[str] | None,
    timeouts: tuple[float | None, float | None, float | None],
    purpose: str | None,
) -> Callable[[Client], Job]:
    """What the command line asks for, checked and ready to submit; `timeouts` are queue, run and total."""
    given = _given(timeouts)
    if names_function(text):
        function, values = load_function(text), split_params(param or [])
        return lambda client: submit_function(client, function, values, given, purpose)
    params = parse_params(param or [])
    return lambda client: client.sql(text, params=params, timeouts=given, purpose=purpose)


def request_of(
    text: str,
    param: list[str] | None,
    timeouts: tuple[float | None, float | None, float | None],
    purpose: str | None,
) -> JobRequest:
    """The same as a document, for a job that is submitted later."""
    given = _given(timeouts)
    if names_function(text):
        return python_request(*asked_function(load_function(text), split_params(param or []), given, purpose))
    return statement_request(text, parse_params(param or []), given, purpose)


def _given(timeouts: tuple[float | None, float | None, float | None]) -> dict[str, float]:
    names = ("queue_timeout_s", "run_timeout_s", "total_timeout_s")
    return {name: value for name, value in zip(names, timeouts, strict=True) if value is not None}


def explain(query: Query = None, file: File = None, param: Params = None, as_json: AsJson = False) -> None:
    """Show the plan of a SELECT with its estimates; nothing runs."""
    text = read_statement(query, file)
    params = parse_params(param or [])
    with connect() as client:
        explanation = client.explain(text, params=params)
    if as_json:
        print_json(explanation.plan)
    else:
        print(visible(explanation.text, keep="\n"))
