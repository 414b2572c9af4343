"""A compiler that plans a handful of known statements, for tests of what is around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from datacanal.control.catalogue import Known
from datacanal.control.planner import Question
from datacanal.domain.errors import DatacanalError, SiteUnreachable, SqlSyntax
from datacanal.protocol.plan import (
    DatasetInput,
    Estimate,
    Meeting,
    Plan,
    PlanColumn,
    Step,
    StepInput,
    Transfer,
    TransferInput,
)

COLUMN = PlanColumn(name="n", type="BIGINT")
_ESTIMATE = Estimate(rows=1, bytes=100, scanned_bytes=1000)


class ScriptedCompiler:
    """`at SITE` is one step there, `reads SITE` one that reads a dataset; `across A B` is a scan at A and a query at B.

    `refusals` are raised as given.

    Everything else does not parse. Counts what it compiled in `compiled`.
    """

    def __init__(self) -> None:
        self.compiled: Counter[str] = Counter()
        self.refusals: dict[str, DatacanalError] = {}

    def compile(self, question: Question, _known: Known, connected: frozenset[str]) -> Plan:
        self.compiled[question.sql] += 1
        if question.sql in self.refusals:
            raise self.refusals[question.sql]
        match question.sql.split():
            case ["at", site]:
                return plan_at(site, question.now.isoformat())
            case ["reads", site]:
                return plan_reading(site, question.now.isoformat())
            case ["across", producer, consumer]:
                return plan_across(producer, consumer, question.now.isoformat())
            case ["anywhere"] if not connected:
                raise SiteUnreachable(site="any", reason="no site is connected")
            case ["anywhere"]:
                return plan_at(min(connected), question.now.isoformat())
            case _:
                raise SqlSyntax(reason="the scripted compiler does not know it", position=0)

    def in_words(self, plan: Plan) -> str:
        return f"{len(plan.steps)} steps"


def plan_at(site: str, now: str = "2030-01-01T00:00:00+00:00") -> Plan:
    """One query step."""
    return _plan([_query(site, [])], [], site, now)


def plan_reading(site: str, now: str = "2030-01-01T00:00:00+00:00") -> Plan:
    """One query step over the dataset `d` of the site's lake."""
    given = DatasetInput(occurrence="occ0", lake=f"lake_{site}", dataset="d", snapshot="snap_1", columns=[COLUMN])
    return _plan([_query(site, [given])], [], site, now)


def plan_across(producer: str, consumer: str, now: str = "2030-01-01T00:00:00+00:00") -> Plan:
    """A scan `s1` whose output goes to the query `q`."""
    scan = Step(id="s1", site=producer, kind="scan", sql="SELECT 1", inputs=[], columns=[COLUMN], estimate=_ESTIMATE)
    arrives = TransferInput(
        occurrence="occ0", lake=producer, dataset="d", from_step="s1", shipped=[COLUMN], columns=[COLUMN]
    )
    transfer = Transfer(
        from_step="s1",
        to_step="q",
        from_site=producer,
        to_site=consumer,
        kind="relation",
        dataset="d",
        estimate=_ESTIMATE,
        reason="the smaller side moves",
    )
    return _plan([scan, _query(consumer, [arrives])], [transfer], consumer, now)


def _query(site: str, inputs: Sequence[StepInput]) -> Step:
    return Step(
        id="q", site=site, kind="query", sql="SELECT 1", inputs=list(inputs), columns=[COLUMN], estimate=_ESTIMATE
    )


def _plan(steps: list[Step], transfers: list[Transfer], meeting: str, now: str) -> Plan:
    return Plan(
        kernel="v2.0.0",
        functions="f" * 64,
        statement="SELECT 1",
        now=now,
        steps=steps,
        transfers=transfers,
        result_step="q",
        columns=[COLUMN],
        meeting=Meeting(site=meeting, bytes=100, reason="scripted"),
    )
