"""Answers side by side: what the service gives and what one DuckDB over the same lakes gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from datacanal.client import Client
from datacanal.domain.errors import DatacanalError
from datacanal.testing.comparator import ResultsDiffer, assert_same
from datacanal.testing.oracle import Oracle

NOW = "2024-05-06T07:08:09.101112+00:00"


@dataclass(frozen=True)
class Outcome:
    """A result with its DuckDB types, or the failure instead."""

    names: list[str]
    types: list[str]
    table: pa.Table | None
    failure: str = ""


Run = Callable[[str, Mapping[str, Any]], Outcome]


def failed(error: Exception) -> Outcome:
    """The outcome of what failed so."""
    return Outcome([], [], None, f"{type(error).__name__}: {error}")


def difference(ours: Outcome, theirs: Outcome, ordered_by: tuple[int, ...] = ()) -> str | None:
    """How the two are not the same, or None where they are."""
    if ours.table is None or theirs.table is None:
        if (ours.table is None) == (theirs.table is None):
            return None
        return f"ours: {ours.failure or 'a result'}\noracle: {theirs.failure or 'a result'}"
    if (ours.names, ours.types) != (theirs.names, theirs.types):
        return f"columns {list(zip(ours.names, ours.types, strict=True))}\n" + (
            f"expected {list(zip(theirs.names, theirs.types, strict=True))}"
        )
    try:
        assert_same(ours.table, theirs.table, ordered_by)
    except ResultsDiffer as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Fetched:
    """What the service gave: a table in public types with the DuckDB types it recorded, or the failure instead."""

    names: list[str]
    types: list[str]
    table: pa.Table | None
    now: str = NOW
    failure: str = ""

    def restored(self, oracle: Oracle) -> Outcome:
        """The same with each column cast back to its DuckDB type."""
        if self.table is None:
            return Outcome([], [], None, self.failure)
        return _without_unions(Outcome(self.names, self.types, oracle.restored(self.table, self.types)))


class ServiceBench:
    """A running service beside one DuckDB over the same lakes; several threads may ask it at once."""

    def __init__(self, client: Client, lakes: Mapping[str, Path]) -> None:
        self._client = client
        self._lakes = lakes

    def complaint(
        self, sql: str, params: Mapping[str, Any] | None = None, ordered_by: tuple[int, ...] = ()
    ) -> str | None:
        """What is wrong with the service's answer, or None."""
        fetched = self._fetched(sql, params or {})
        with Oracle(self._lakes, now=fetched.now) as oracle:
            return difference(fetched.restored(oracle), _expected(oracle, sql, params or {}), ordered_by)

    def _fetched(self, sql: str, params: Mapping[str, Any]) -> Fetched:
        try:
            job = self._client.sql(sql, params=params)
            table, plan, result = job.to_arrow(), job.plan, job.view.result
        except DatacanalError as error:
            return Fetched([], [], None, failure=f"{type(error).__name__}: {error}")
        assert plan is not None
        assert result is not None
        return Fetched([c.name for c in result.columns], [c.type for c in result.columns], table, plan.now)


def _expected(oracle: Oracle, sql: str, params: Mapping[str, Any]) -> Outcome:
    try:
        answer = oracle.run(sql, params)
    except duckdb.Error as error:
        return failed(error)
    return _without_unions(Outcome(answer.table.column_names, answer.types, answer.table))


def _without_unions(outcome: Outcome) -> Outcome:
    """A UNION arrives as a struct of its tag and members and cannot be cast back: its rule is tested elsewhere."""
    kept = [number for number, kind in enumerate(outcome.types) if not kind.startswith("UNION")]
    assert outcome.table is not None
    names, types = [outcome.names[number] for number in kept], [outcome.types[number] for number in kept]
    return Outcome(names, types, outcome.table.select(kept))


def sort_columns(sql: str) -> tuple[int, ...]:
    """Which of the result's columns the outermost ORDER BY sorts by, up to the first key that is none of them."""
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
    assert row is not None
    node = json.loads(row[0])["statements"][0]["node"]
    orders = [order["expression"] for each in node["modifiers"] if "orders" in each for order in each["orders"]]
    named = [item.get("alias") or (item.get("column_names") or [""])[-1] for item in node.get("select_list", [])]
    found: list[int] = []
    for order in orders:
        position = _position(order, named)
        if position is None:
            break
        found.append(position)
    return tuple(found)


def _position(order: dict[str, Any], named: list[str]) -> int | None:
    if order.get("type") == "VALUE_CONSTANT":
        return int(order["literal"]["text"]) - 1
    name = (order.get("column_names") or [""])[-1]
    return named.index(name) if name and name in named else None
