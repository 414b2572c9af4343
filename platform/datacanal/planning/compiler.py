"""A user's statement in, a plan out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydantic import JsonValue

from datacanal.domain.errors import SiteUnreachable, SqlTooDeep
from datacanal.planning.assembly import Statement, assemble
from datacanal.planning.binding import Binder, Binding, BindRequest, Question
from datacanal.planning.catalogue import Catalogue
from datacanal.planning.gate import check_text, check_tree
from datacanal.planning.names import resolve
from datacanal.planning.parameters import check_parameters
from datacanal.planning.placement import anywhere_meeting, choose_meeting, local_meeting
from datacanal.planning.shipments import Shipment, bound_table, propose, settle
from datacanal.planning.text import MAX_DEPTH
from datacanal.planning.titles import keep_titles, retitle
from datacanal.protocol.plan import Meeting, Plan


def compile_statement(
    sql: str, params: Mapping[str, JsonValue], catalogue: Catalogue, binder: Binder, now: str
) -> Plan:
    """The plan of a statement over the catalogue, at one instant (`now`, ISO 8601 with a zone).

    Raises a `UserError` (most are `StatementError`s) that names what to change, `DatasetUnreadable` for a dataset
    whose files cannot be read, `SiteUnreachable` where the statement needs some site and none is connected.
    """
    try:
        statement = bind_statement(sql, params, catalogue, binder, now)
        meeting, moving = _placed(statement, catalogue, binder)
    except RecursionError:
        raise SqlTooDeep(limit=MAX_DEPTH) from None
    return assemble(statement, meeting, moving, binder.kernel)


def bind_statement(
    sql: str, params: Mapping[str, JsonValue], catalogue: Catalogue, binder: Binder, now: str
) -> Statement:
    """The statement checked, its names resolved, bound over empty tables. Raises as `compile_statement` does."""
    check_text(sql)
    tree = binder.parse(sql)
    check_tree(tree, sql)
    check_parameters(tree, params)
    keep_titles(tree, binder)
    occurrences = resolve(tree, catalogue)
    prefix = f"c{hashlib.sha256(f'{now} {sql}'.encode()).hexdigest()[:12]}"
    tables = [bound_table(occurrence) for occurrence in occurrences]

    def bind(text: str) -> Binding:
        question = Question(sql=text, params=dict(params))
        return binder.bind(BindRequest(tables=tables, questions=[question], now=now, prefix=prefix))[0]

    checked = binder.print_checked(tree)
    binding = bind(checked)
    if retitle(tree, [column.name for column in binding.columns]):
        checked = binder.print_checked(tree)
        binding = bind(checked)
    return Statement(checked, params, occurrences, binding, prefix, now)


def _placed(statement: Statement, catalogue: Catalogue, binder: Binder) -> tuple[Meeting, list[Shipment]]:
    """Where the relations meet, and what moves there."""
    sites = statement.sites
    if not sites:
        return _anywhere(catalogue), []
    if len(sites) == 1:
        return local_meeting(sites[0]), []
    proposals = propose(binder, statement.occurrences, statement.demands, statement.prefix)
    meeting = choose_meeting(proposals)
    leaving = [proposal for proposal in proposals if proposal.occurrence.dataset.site != meeting.site]
    return meeting, settle(binder, leaving, statement.prefix, statement.now)


def _anywhere(catalogue: Catalogue) -> Meeting:
    sites = sorted(catalogue.connected)
    if not sites:
        raise SiteUnreachable(site="(any)", reason="no site is connected")
    return anywhere_meeting(sites[0], sites[1:])
