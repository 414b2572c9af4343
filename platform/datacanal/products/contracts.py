"""Whether a contract can be kept at all: asked when a publisher writes one, long before there are rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb

from datacanal.domain.errors import BadField
from datacanal.domain.product_errors import UnknownCalendar
from datacanal.formats.sqltext import type_text
from datacanal.products.calendars import calendar_of
from datacanal.protocol.products import Contract

_LONGEST_TYPE = 2000
_DEEPEST_TYPE = 32


def check_contract(contract: Contract, today: date) -> Contract:
    """The contract with its types as DuckDB prints them. Raises `BadField` that names the entry."""
    _check_once("contract.key", contract.key)
    _check_once("contract.not_null", contract.not_null)
    _check_sessions(contract, today)
    if contract.columns is None:
        return contract
    columns = {name: _printed(name, kind) for name, kind in contract.columns.items()}
    named = {"key": contract.key, "not_null": contract.not_null, "session": _listed(contract.session)}
    for entry, names in named.items():
        for name in names:
            if name not in columns:
                raise BadField(field=f"contract.{entry}", reason=f"{name!r} is not among the contract's columns")
    return contract.model_copy(update={"columns": columns})


def _check_sessions(contract: Contract, today: date) -> None:
    if contract.session is None:
        for entry, given in (("calendar", contract.calendar), ("freshness", contract.freshness)):
            if given is not None:
                reason = f"needs `session`, the column of dates; name one or leave {entry} out"
                raise BadField(field=f"contract.{entry}", reason=reason)
    if contract.calendar is not None:
        _check_calendar(contract.calendar, today)


def _check_calendar(name: str, today: date) -> None:
    try:
        calendar_of(name, today)
    except UnknownCalendar:
        reason = f"there is no calendar {name!r}; take an exchange's code, as XSHG, XSHE, XHKG, XNYS or XLON"
        raise BadField(field="contract.calendar", reason=reason) from None


def _check_once(field: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BadField(field=field, reason=f"{name!r} is named more than once")


def _listed(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _printed(name: str, kind: str) -> str:
    """Long and deep texts are refused unread: DuckDB's parser would take them on with this process's stack."""
    field = f"contract.columns.{name}"
    if len(kind) > _LONGEST_TYPE or kind.count("(") + kind.count("[") > _DEEPEST_TYPE:
        raise BadField(field=field, reason="the type's text is too long or too deeply nested")
    try:
        return type_text(kind)
    except duckdb.Error:
        reason = f"{kind!r} is no type; take one of DuckDB's, as VARCHAR, DATE, BIGINT, DOUBLE or DECIMAL(18,4)"
        raise BadField(field=field, reason=reason) from None
