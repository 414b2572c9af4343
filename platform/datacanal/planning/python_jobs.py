"""A function in, a plan out: its inputs planned like statements of their own, then one step that is given their tables.

Step ids: those of an input's plan begin with its name and `__`, those of a dataset's with `dataset_` and a number; the
function's is `python`. No two of these can be the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from datacanal.domain.errors import BadFunction, DatacanalError, DatasetNotFound, PythonRefused, SqlTooDeep
from datacanal.planning.binding import Binder
from datacanal.planning.catalogue import STEP_LAKE, Catalogue, CataloguedDataset
from datacanal.planning.compiler import bind_statement, compile_statement, table_step
from datacanal.planning.contracts import bound_types, contract_columns
from datacanal.planning.decisions import decisions
from datacanal.planning.environments import check_environment
from datacanal.planning.functions import functions_digest
from datacanal.planning.gate import check_text
from datacanal.planning.parameters import used_parameters
from datacanal.planning.python_request import check_request, work_of
from datacanal.planning.quoting import identifier
from datacanal.planning.rules import Rules
from datacanal.planning.text import MAX_DEPTH
from datacanal.protocol.plan import (
    Estimate,
    Meeting,
    Plan,
    PythonEnvironment,
    PythonGiven,
    Step,
    StepInput,
    Transfer,
    TransferInput,
)
from datacanal.protocol.public import PythonRequest

_STEP = "python"
_APPROVABLE = ("public", "masked", "join_key", "aggregate")
_ELSEWHERE = 'Take what you need of it as an input: inputs={{"{name}": "SELECT … FROM {dataset}"}}.'


@dataclass(frozen=True)
class Ground:
    """What a function is planned over, and with. `environments` are those of the sites that told."""

    catalogue: Catalogue
    sites: Iterable[str]
    binder: Binder
    now: str
    rules: Rules
    environments: Mapping[str, PythonEnvironment] = field(default_factory=dict)


@dataclass
class _Parts:
    """The plan while it grows."""

    steps: list[Step] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    policy: list[str] = field(default_factory=list)
    inputs: list[StepInput] = field(default_factory=list)
    given: list[PythonGiven] = field(default_factory=list)

    def give(self, given: PythonGiven, step: Step) -> None:
        """The step's table becomes an input of the function."""
        self.given.append(given)
        self.inputs.append(
            TransferInput(
                occurrence=given.occurrence,
                lake=STEP_LAKE,
                dataset=step.id,
                from_step=step.id,
                shipped=step.columns,
                columns=step.columns,
            )
        )

    @property
    def next_occurrence(self) -> str:
        return f"occ{len(self.inputs)}"


def compile_python(asked: PythonRequest, params: Mapping[str, JsonValue], ground: Ground) -> Plan:
    """The plan of a function. Raises what is wrong with the request, `PythonRefused`, and for each input what
    `compile_statement` raises, with the input's name in the error's data.
    """
    check_request(asked, params)
    if asked.site not in ground.sites:
        known = ", ".join(sorted(ground.sites))
        raise BadFunction(field="python.site", reason=f"there is no site {asked.site!r}; there are {known}")
    if asked.image is None and (there := ground.environments.get(asked.site)) is not None:
        check_environment(asked.environment, there, asked.site)
    work_of(asked, [])  # whatever is wrong with it is told before anything is planned
    prefix = f"c{hashlib.sha256(f'{ground.now} {asked.code}'.encode()).hexdigest()[:12]}"
    types = bound_types(asked.columns, ground.binder, ground.now, prefix)
    parts = _Parts()
    for name in asked.datasets:
        _add_dataset(parts, name, asked.site, ground)
    for name, sql in asked.inputs.items():
        _add_input(parts, name, sql, params, asked.site, ground)
    step = Step(
        id=_STEP,
        site=asked.site,
        kind="python",
        sql="",
        params=dict(params),
        inputs=parts.inputs,
        columns=contract_columns(types, parts.inputs),
        python=work_of(asked, parts.given),
        estimate=Estimate(rows=0, bytes=0),
    )
    return _plan(asked, parts, step, ground)


def _plan(asked: PythonRequest, parts: _Parts, step: Step, ground: Ground) -> Plan:
    moved = sum(transfer.estimate.bytes for transfer in parts.transfers)
    return Plan(
        kernel=ground.binder.kernel,
        functions=functions_digest(),
        statement=asked.name,
        now=ground.now,
        steps=[*parts.steps, step],
        transfers=parts.transfers,
        result_step=step.id,
        columns=step.columns,
        meeting=Meeting(site=asked.site, bytes=moved, reason="the job names it"),
        policy=list(dict.fromkeys(parts.policy)),
    )


# ---------------------------------------------------------------- datasets


def _add_dataset(parts: _Parts, name: str, site: str, ground: Ground) -> None:
    """The dataset behind its policy: a query of what Python may see. Only its site knows of masks and row filters."""
    dataset = _found(name, ground.catalogue)
    columns = _visible(dataset, site)
    stem = f"dataset_{len(parts.given)}_"
    table = f"{identifier(dataset.lake)}.{identifier(dataset.name)}"
    sql = f"SELECT {', '.join(map(identifier, columns))} FROM {table}"  # noqa: S608  # quoted names, read again
    step = table_step(bind_statement(sql, {}, ground.catalogue, ground.binder, ground.now, stem))
    parts.steps.append(step)
    parts.policy += [*decisions([], step), *_approvals(dataset)]
    parts.give(PythonGiven(kind="dataset", name=dataset.qualified_name, occurrence=parts.next_occurrence), step)


def _found(name: str, catalogue: Catalogue) -> CataloguedDataset:
    wanted = name.casefold()
    found = next((each for each in catalogue.datasets if each.qualified_name.casefold() == wanted), None)
    if found is None:
        raise DatasetNotFound(name=name, hint="Write lake.dataset; `datacanal dataset list` shows what there is.")
    return found


def _visible(dataset: CataloguedDataset, site: str) -> list[str]:
    """The columns that Python may see. Raises `PythonRefused`."""
    if dataset.site != site:
        hint = _ELSEWHERE.format(name=dataset.name, dataset=dataset.qualified_name)
        raise _refused(
            dataset, site, f"it is at site {dataset.site!r}, and no function reads another site's lake", hint
        )
    if dataset.python == "never":
        hint = "Ask the data's owner to allow Python, or use SQL."
        raise _refused(dataset, site, 'its policy says python = "never"', hint)
    columns = [
        column.name
        for column in dataset.columns
        if column.label.is_free or (dataset.python == "approval" and column.label.policy_class in _APPROVABLE)
    ]
    if dataset.columns and not columns:
        hint = "Aggregate what you need of it in SQL, as an input."
        raise _refused(dataset, site, "none of its columns is public or masked", hint)
    return columns


def _refused(dataset: CataloguedDataset, site: str, reason: str, hint: str) -> PythonRefused:
    return PythonRefused(dataset=dataset.qualified_name, site=site, reason=reason, hint=hint)


def _approvals(dataset: CataloguedDataset) -> Iterable[str]:
    if dataset.python == "approval":
        yield f"{dataset.qualified_name}: a steward has to approve the function first."


# ---------------------------------------------------------------- inputs


def _add_input(parts: _Parts, name: str, sql: str, params: Mapping[str, JsonValue], site: str, ground: Ground) -> None:
    try:
        plan = _compiled(name, sql, params, ground)
    except DatacanalError as error:
        raise type(error)(**{**error.data, "input": name}) from None
    result = plan.step(plan.result_step)
    _check_names(name, result)
    parts.steps += plan.steps
    parts.transfers += plan.transfers
    parts.policy += plan.policy
    if result.site != site:
        parts.transfers.append(_transfer(name, result, site))
    parts.give(PythonGiven(kind="input", name=name, occurrence=parts.next_occurrence), result)


def _compiled(name: str, sql: str, params: Mapping[str, JsonValue], ground: Ground) -> Plan:
    """The plan of the statement with those of the function's parameters that it names."""
    check_text(sql)
    try:
        used = {each.lower() for each in used_parameters(ground.binder.parse(sql))}
    except RecursionError:
        raise SqlTooDeep(limit=MAX_DEPTH) from None
    bound = {each: value for each, value in params.items() if each.lower() in used}
    return compile_statement(sql, bound, ground.catalogue, ground.binder, ground.now, ground.rules, f"{name}__")


def _check_names(name: str, result: Step) -> None:
    seen: set[str] = set()
    for column in result.columns:
        if column.name.casefold() in seen:
            reason = f"two of its columns are called {column.name!r}; give them aliases"
            raise BadFunction(field=f"python.inputs.{name}", reason=reason)
        seen.add(column.name.casefold())


def _transfer(name: str, result: Step, site: str) -> Transfer:
    return Transfer(
        from_step=result.id,
        to_step=_STEP,
        from_site=result.site,
        to_site=site,
        kind="relation",
        dataset=name,
        estimate=result.estimate,
        reason="an input of the function",
    )
