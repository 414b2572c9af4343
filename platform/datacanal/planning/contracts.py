"""The contract of a function: names and DuckDB types of the columns that it must return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datacanal.domain.errors import BadFunction, PlanningTooExpensive, UserError
from datacanal.planning.binding import Binder, BindRequest, Question
from datacanal.planning.gate import check_text, check_tree
from datacanal.planning.tree_walk import objects
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import PlanColumn, StepInput, TransferInput

_NO_TYPE = "is no type that a column of a result can have; docs/types.md lists them"

_PLAIN = {"type", "select_list", "from_table", "aggregate_handling"}


def bound_types(columns: Mapping[str, str], binder: Binder, now: str, prefix: str) -> dict[str, str]:
    """The types as DuckDB writes them, by the columns' names. Raises `BadFunction` naming the first that is none."""
    texts: dict[str, str] = {}
    for name, written in columns.items():
        texts[written] = texts.get(written) or _printed(name, written, binder)
    try:
        found = dict(zip(texts, _bound(list(texts.values()), binder, now, prefix), strict=True))
    except PlanningTooExpensive:
        raise
    except UserError:
        for name, written in columns.items():
            _bind_alone(name, written, texts[written], binder, now, prefix)
        raise
    return {name: found[written] for name, written in columns.items()}


def contract_columns(types: Mapping[str, str], inputs: Sequence[StepInput]) -> list[PlanColumn]:
    """The columns of a step that runs a function: public, and owned by the owners of all that it is given.

    Nobody can know what became of what in Python: the owners' budgets hold it, and this contract.
    """
    given = [
        column.label
        for item in inputs
        for column in (item.shipped if isinstance(item, TransferInput) else item.columns)
    ]
    label = Label(owners=Label().joined(*given).owners)
    return [PlanColumn(name=name, type=kind, label=label) for name, kind in types.items()]


def _printed(name: str, written: str, binder: Binder) -> str:
    """A statement of one value of the type, printed from the checked tree of exactly such a statement."""
    sql = f"SELECT CAST(NULL AS {written})"  # what it parses to is checked, and only that is printed
    try:
        check_text(sql)
        tree = binder.parse(sql)
        check_tree(tree, sql)
    except PlanningTooExpensive:
        raise
    except UserError:
        raise _no_type(name, written) from None
    if not _is_cast_of_null(tree["statements"][0]["node"]):
        raise _no_type(name, written)
    return binder.print_checked(tree)


def _is_cast_of_null(node: dict[str, Any]) -> bool:
    said = {key for key, value in node.items() if value and key != "cte_map"}
    items = node.get("select_list") or []
    if said != _PLAIN or node["from_table"] != {"type": "EMPTY"} or len(items) != 1:
        return False
    cast = items[0]
    if cast.get("class") != "CAST" or cast.get("alias") or cast.get("try_cast") or cast["child"]["class"] != "CONSTANT":
        return False
    kinds = [each for each in objects(cast["type_expr"]) if "class" in each]
    return all(each["class"] in ("TYPE", "CONSTANT") and not _is_type_of_types(each) for each in kinds)


def _is_type_of_types(node: dict[str, Any]) -> bool:
    return str(node.get("type_name", "")).upper() == "TYPE"


def _bind_alone(name: str, written: str, text: str, binder: Binder, now: str, prefix: str) -> None:
    try:
        _bound([text], binder, now, prefix)
    except UserError:
        raise _no_type(name, written) from None


def _bound(texts: Sequence[str], binder: Binder, now: str, prefix: str) -> list[str]:
    questions = [Question(sql=text) for text in texts]
    bindings = binder.bind(BindRequest(tables=[], questions=questions, now=now, prefix=prefix))
    return [binding.columns[0].type for binding in bindings]


def _no_type(name: str, written: str) -> BadFunction:
    shown = written if len(written) <= 100 else f"{written[:99]}…"
    return BadFunction(field=f"python.columns.{name}", reason=f"{shown!r} {_NO_TYPE}")
