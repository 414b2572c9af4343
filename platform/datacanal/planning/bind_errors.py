"""DuckDB's words about a statement that does not bind, as our errors. The tables are empty: no data is in them."""

from __future__ import annotations

import difflib
import re

import duckdb

from datacanal.domain.errors import (
    AmbiguousColumn,
    BadParameter,
    ColumnNotFound,
    DoesNotBind,
    PlanningTooExpensive,
    StatementError,
    UserError,
)
from datacanal.planning.binding import BoundTable

_OCCURRENCE = re.compile(r"\bocc\d+\.")
_KIND = re.compile(r"^(?:[A-Z][\w ]* Error|Error): ")
_MISSING_COLUMN = re.compile(
    r'Referenced column "(?P<a>.+?)" (?:was )?not found|does not have a column named "(?P<b>.+?)"'
    r'|Column "(?P<c>.+?)" (?:in \w+ list not found|does not exist on)|Referenced table "(?P<d>.+?)" not found',
    re.DOTALL,
)
_CANDIDATES = re.compile(r"(?:Candidate \w+|Did you mean): (?P<names>[^\n]*)")
_PARAMETER = re.compile(r"parameters?: (?P<name>[^\n]*)")


def translate(error: duckdb.Error, tables: list[BoundTable]) -> UserError:
    """The error of our tree for what DuckDB raised while binding over `tables`."""
    text = _OCCURRENCE.sub("", _KIND.sub("", str(error).split("\n\nLINE ")[0])).strip()
    if isinstance(error, duckdb.OutOfMemoryException):
        return PlanningTooExpensive(limit="its memory")
    if "parameter" in text and (named := _PARAMETER.search(text)):
        return BadParameter(name=named["name"].split(",")[0].strip(), reason=text.split("\n")[0])
    if text.startswith("Ambiguous reference"):
        return AmbiguousColumn(reason=_first_line(text))
    if missing := _MISSING_COLUMN.search(text):
        return _column_not_found(text, next(name for name in missing.groups() if name), tables)
    return DoesNotBind(reason=text if len(text) < 400 else f"{text[:400]}…")


def _column_not_found(text: str, name: str, tables: list[BoundTable]) -> StatementError:
    reason = _first_line(text).replace("Values list ", "The table ").replace("Table ", "The table ", 1)
    known = {column.name for table in tables for column in table.columns}
    near = difflib.get_close_matches(name.lower(), {column.lower(): column for column in known}, n=3, cutoff=0.5)
    spelled = [column for column in sorted(known) if column.lower() in near]
    candidates = _CANDIDATES.search(text)
    if not spelled and candidates:
        spelled = re.findall(r'"(.*?)"', candidates["names"])[:3]
    hint = f"Did you mean {', '.join(spelled)}?" if spelled else "`datacanal dataset show LAKE.NAME` lists the columns."
    return ColumnNotFound(reason=reason, hint=hint)


def _first_line(text: str) -> str:
    line = text.split("\n")[0].rstrip(" .!")
    return f"{line}."
