"""A user's statement in, a plan out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydantic import JsonValue

from datacanal.domain.errors import PolicyRefused, SqlTooDeep
from datacanal.planning.assembly import Assembly
from datacanal.planning.binding import Binder
from datacanal.planning.catalogue import Catalogue
from datacanal.planning.decisions import decisions
from datacanal.planning.functions import functions_digest
from datacanal.planning.gate import check_text, check_tree
from datacanal.planning.labelling import catalogued_tables, check_result, input_tables, labelled, traced
from datacanal.planning.layout import Layout, Surveyor
from datacanal.planning.lineage import Relation, output_labels
from datacanal.planning.names import resolve
from datacanal.planning.parameters import check_parameters
from datacanal.planning.pieces import Piece, Workbench
from datacanal.planning.placement import local_meeting
from datacanal.planning.rules import Rules
from datacanal.planning.separation import Separator
from datacanal.planning.text import MAX_DEPTH
from datacanal.planning.titles import keep_titles, retitle
from datacanal.protocol.plan import Meeting, Plan, Step, StepInput

_RESULT_STEP = "query"
_ALL_RULES = Rules()


def compile_statement(
    sql: str,
    params: Mapping[str, JsonValue],
    catalogue: Catalogue,
    binder: Binder,
    now: str,
    rules: Rules = _ALL_RULES,
    stem: str = "",
) -> Plan:
    """The plan of a statement over the catalogue, at one instant (`now`, ISO 8601 with a zone).

    `stem` begins the ids of its steps, for a plan that becomes a part of another.
    Raises a `UserError` (most are `StatementError`s) that names what to change, a `PolicyError` for what no policy
    allows, `DatasetUnreadable` for a dataset whose files cannot be read, `SiteUnreachable` where the statement needs
    some site and none is connected.
    """
    try:
        statement = bind_statement(sql, params, catalogue, binder, now, stem)
        return _planned(statement, catalogue, binder, rules, stem)
    except RecursionError:
        raise SqlTooDeep(limit=MAX_DEPTH) from None


def bind_statement(
    sql: str, params: Mapping[str, JsonValue], catalogue: Catalogue, binder: Binder, now: str, stem: str = ""
) -> Piece:
    """The statement checked, its names resolved, bound over empty tables. Raises as `compile_statement` does."""
    check_text(sql)
    tree = binder.parse(sql)
    check_tree(tree, sql)
    check_parameters(tree, params)
    keep_titles(tree, binder)
    occurrences = resolve(tree, catalogue)
    prefix = f"c{hashlib.sha256(f'{now} {sql}'.encode()).hexdigest()[:12]}"
    bench = Workbench(binder, params, prefix, now, occurrences, stem)
    statement = bench.piece(f"{stem}{_RESULT_STEP}", "query", tree)
    if retitle(tree, [column.name for column in statement.binding.columns]):
        statement = bench.piece(f"{stem}{_RESULT_STEP}", "query", tree)
    return statement


def table_step(statement: Piece) -> Step:
    """The statement, whose datasets are all at one site, as a step that gives its table to another step there.

    Nothing but its labels says what may be done with it.
    """
    layout, assembly = Layout(statement, local_meeting(statement.sites[0]), ()), Assembly()
    step, _ = _query_step(layout, assembly.deliver(layout), assembly)
    return step


def _planned(statement: Piece, catalogue: Catalogue, binder: Binder, rules: Rules, stem: str) -> Plan:
    bench = Workbench(binder, statement.params, statement.prefix, statement.now, statement.occurrences, stem)
    surveyor, assembly = Surveyor(bench, catalogue, rules), Assembly(stem)
    separator = Separator(bench, surveyor, assembly)
    try:
        layout = surveyor.lay_out(_allowed(statement, separator))
        query, relation = _query_step(layout, assembly.deliver(layout), assembly)
        check_result(query.columns, relation)
    except PolicyRefused as refused:
        raise separator.refusal(refused) from None
    return Plan(
        kernel=binder.kernel,
        functions=functions_digest(),
        statement=statement.sql,
        now=statement.now,
        steps=[*assembly.steps, query],
        transfers=assembly.transfers,
        result_step=query.id,
        columns=query.columns,
        meeting=_meeting(layout, separator, assembly),
        policy=[*separator.decisions, *decisions(assembly.steps, query)],
    )


def _meeting(layout: Layout, separator: Separator, assembly: Assembly) -> Meeting:
    """The statement's meeting; where only its aggregates had a choice of sites, theirs."""
    own = layout.meeting
    others = [each for each in separator.meetings if each.alternatives and each.site == own.site]
    if others and not own.alternatives:
        own = others[0]
    return own.model_copy(update={"bytes": assembly.moved_bytes})


def _allowed(statement: Piece, separator: Separator) -> Piece:
    """The statement as it may run: with its protected aggregates in steps of their own. Raises `PolicyRefused`."""
    columns = [column for each in statement.occurrences for column in each.dataset.columns]
    if all(column.label.is_free for column in columns):
        return statement
    relation = traced(statement.binding, catalogued_tables(statement.occurrences))
    if all(label.is_free for label in output_labels(relation)):
        return statement
    found = separator.separate(statement)
    relation = traced(found.binding, catalogued_tables(found.occurrences))
    check_result(labelled(found.binding, relation), relation)
    return found


def _query_step(layout: Layout, inputs: list[StepInput], assembly: Assembly) -> tuple[Step, Relation]:
    piece = layout.piece
    relation = traced(piece.binding, input_tables(inputs))
    step = Step(
        id=piece.id,
        site=layout.site,
        kind="query",
        sql=piece.sql,
        params=dict(piece.params),
        inputs=inputs,
        columns=labelled(piece.binding, relation),
        estimate=assembly.estimate(layout),
    )
    return step, relation
