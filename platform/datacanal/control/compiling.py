"""The compiler of SQL behind the planner's port."""

from __future__ import annotations

from datacanal.control.binders import BinderLost
from datacanal.control.catalogue import Known, KnownDataset
from datacanal.control.planner import Question
from datacanal.domain.errors import ServiceBusy
from datacanal.domain.readers import may_read
from datacanal.planning.binding import Binder
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.planning.explain import explain_text
from datacanal.planning.python_jobs import Ground, compile_python
from datacanal.planning.rules import Rules
from datacanal.protocol.plan import Plan
from datacanal.protocol.problem import Problem


class StatementCompiler:
    """Compiles with a binder; any number of threads may use it at once."""

    def __init__(self, binder: Binder, rules: Rules | None = None) -> None:
        self._binder = binder
        self._rules = rules or Rules()

    def compile(self, question: Question, known: Known, connected: frozenset[str]) -> Plan:
        """See `Compiler.compile`. Raises `ServiceBusy` while no binder process can be had."""
        datasets = tuple(_catalogued(item, question) for item in known.datasets)
        catalogue = Catalogue(datasets, connected & frozenset(known.sites), question.principal)
        now = question.now.isoformat()
        try:
            if question.python is not None:
                told = {site: hello.python for site, hello in known.hellos.items() if hello.python is not None}
                ground = Ground(catalogue, known.sites, self._binder, now, self._rules, told)
                return compile_python(question.python, question.params, ground)
            return compile_statement(question.sql, question.params, catalogue, self._binder, now, self._rules)
        except BinderLost:
            raise ServiceBusy(reason="the planner is being restarted") from None

    def in_words(self, plan: Plan) -> str:
        """See `Compiler.in_words`."""
        return explain_text(plan)


def _catalogued(item: KnownDataset, question: Question) -> CataloguedDataset:
    report, snapshot = item.report, item.report.snapshot
    return CataloguedDataset(
        lake=report.lake,
        name=report.name,
        site=item.site,
        snapshot=snapshot.id if snapshot else "",
        rows=snapshot.rows if snapshot else 0,
        bytes=snapshot.bytes if snapshot else 0,
        columns=tuple(report.columns),
        problem=_words(report.problem) if report.problem else None,
        closed=may_read(
            report.readers,
            report.grants,
            principal=question.principal,
            groups=question.groups,
            purpose=question.purpose,
            now_s=question.now.timestamp(),
        ),
        python=report.python,
    )


def _words(problem: Problem) -> str:
    """Why the dataset cannot be read, without its name, which the refusal says anyway."""
    return str(problem.data.get("reason", problem.detail))
