"""What planner, kernels and agents do for labels, done again by itself on a plan that was made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import duckdb
from pydantic import TypeAdapter
from sqlalchemy.orm import Session
from tests.benchmarks.pulling import NOW

from datacanal.control.binders import BinderPool
from datacanal.planning.binding import BindRequest, BoundTable, NamedType, Question
from datacanal.planning.labelling import input_tables, labelled, traced
from datacanal.protocol.plan import Plan, PlanColumn, Step, labels_text
from datacanal.site.engine.labelling import check_labels
from datacanal.site.engine.specification import CountSource, Task, TaskInput
from datacanal.site.keys import is_signed_by
from datacanal.site.record.entry import Entry, classes_of
from datacanal.testing.site_books import open_books

_COLUMNS: TypeAdapter[list[PlanColumn]] = TypeAdapter(list[PlanColumn])


class Guard:
    """Each method does the work that one job of the plan causes, in all processes together."""

    def __init__(self, folder: Path) -> None:
        self._closing = ExitStack()
        self._binder = BinderPool()
        self._binder.start()
        self._closing.callback(self._binder.stop)
        self._kernel = self._closing.enter_context(duckdb.connect(config={"threads": 2}))
        self._books = open_books(folder / "served")
        self._closing.callback(self._books.close)
        releases = open_books(folder / "released")
        self._closing.callback(releases.close)
        self._releases = releases.record
        self._releasing = self._closing.enter_context(Session(releases.engine))
        self._jobs = 0

    def close(self) -> None:
        """End what was started."""
        self._closing.close()

    def plan(self, plan: Plan, *, labels: bool = True) -> None:
        """Bind the statement; with labels also the scans that need it, and work the labels of all of them out."""
        for step in plan.steps if labels else [plan.step(plan.result_step)]:
            if step.kind == "scan" and not _is_bound(step):
                continue
            question = Question(sql=step.sql, params=step.params, lineage=labels)
            request = BindRequest(tables=list(_tables(step)), questions=[question], now=NOW, prefix="cx")
            [binding] = self._binder.bind(request)
            if labels:
                labelled(binding, traced(binding, input_tables(step.inputs)))

    def check(self, plan: Plan) -> None:
        """What the kernels do before they open an input."""
        for step in plan.steps:
            check_labels(self._kernel, _task(step, plan))

    def sign(self, plan: Plan) -> None:
        """What senders sign and receivers verify: each output that another site reads."""
        keys = self._books.keys
        for transfer in plan.transfers:
            columns = plan.step(transfer.from_step).columns
            text = labels_text("job", transfer.from_step, plan.digest, columns)
            signature = keys.sign(text)
            read = _COLUMNS.validate_json(_COLUMNS.dump_json(columns))
            assert is_signed_by(keys.public, labels_text("job", transfer.from_step, plan.digest, read), signature)

    def record(self, plan: Plan) -> None:
        """What sites record: each release, in a transaction that is there anyway, and by itself that it was served."""
        self._jobs += 1
        for name in [*(transfer.from_step for transfer in plan.transfers), plan.result_step]:
            released = Entry(
                at_ms=self._jobs,
                kind="result" if name == plan.result_step else "transfer",
                decision="released",
                job=f"job_{self._jobs}",
                step=name,
                plan_digest=plan.digest,
                columns=classes_of(plan.step(name).columns),
                digest="d" * 64,
            )
            self._releases.append(self._releasing, released)
            self._books.record.add(replace(released, decision="served"))


def _is_bound(scan: Step) -> bool:
    """Whether the planner binds the scan for its labels: those of bare columns of all rows it knows without."""
    return " WHERE " in scan.sql or " JOIN " in scan.sql


def _tables(step: Step) -> Iterator[BoundTable]:
    for each in step.inputs:
        columns = [NamedType(name=column.name, type=column.type) for column in each.columns]
        yield BoundTable(occurrence=each.occurrence, lake=each.lake, dataset=each.dataset, columns=columns)


def _task(step: Step, plan: Plan) -> Task:
    """The step as its kernel gets it, but for the files, which labels do not need."""
    return Task(
        id=step.id,
        sql=step.sql,
        params=step.params,
        now=plan.now,
        inputs=[
            TaskInput(
                occurrence=each.occurrence,
                lake=each.lake,
                dataset=each.dataset,
                columns=each.columns,
                source=CountSource(path=""),
            )
            for each in step.inputs
        ],
        columns=step.columns,
        relation=step.relation,
        protection=step.protection,
        leaves_as="result" if step.id == plan.result_step else "transfer",
        output="",
    )
