"""What pydantic found wrong, in the words of the policy's language."""

from __future__ import annotations

import difflib
from typing import Any

from datacanal.site.policy.problems import Finding

_KEYS = (
    "default_class", "datasets", "budgets", "grants", "logs", "key", "entity", "readers", "publish", "python", "rows",
    "columns", "class", "mask", "min_group", "max_share", "buckets", "job", "user_day", "dataset_day",
    "aggregate_queries", "day", "bytes", "to", "purpose", "expires", "release", "max_bytes",
)  # fmt: skip
DEFAULT_CLASS = 'Write default_class = "public" if everything may leave, "secret" if only what is named may.'
_REMEDIES = {
    "class": 'Write class = "public", "masked", "join_key", "aggregate" or "secret".',
    "default_class": DEFAULT_CLASS,
    "to": 'Write to = "group:NAME" or "principal:NAME".',
    "datasets": "Name the datasets that the grant is for.",
    "purpose": "Name the purpose that jobs must state.",
    "python": 'Write python = "allowed", "approval" (a steward approves the function first) or "never".',
    "expires": "Give the instant when the grant ends, such as 2030-12-31T00:00:00Z.",
}
_TYPES = {
    "string_type": "a text in quotes is needed",
    "int_type": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "list_type": "a list in [ ] is needed",
    "dict_type": "a table is needed",
    "model_type": "a table is needed",
    "model_attributes_type": "a table is needed",
    "string_too_short": "it is empty",
    "too_short": "the list is empty",
}


def finding_of(detail: dict[str, Any]) -> Finding:
    """One error of a `ValidationError` as a finding."""
    key, kind = tuple(detail["loc"]), str(detail["type"])
    name = str(key[-1]) if key else ""
    if kind == "extra_forbidden":
        return Finding(key, "this key is not known here", _near(name))
    if kind == "missing":
        return Finding(key, "it is required, nothing is implied", _REMEDIES.get(name, "Add it."))
    remedy = _REMEDIES.get(name, "Correct the value; docs/policy.md says what it may be.")
    if kind == "value_error":
        return Finding(key, str(detail["msg"]).removeprefix("Value error, "), remedy)
    return Finding(key, _TYPES.get(kind, _lowered(str(detail["msg"]))), remedy)


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, _KEYS, n=1)
    return f"Did you mean {near[0]}?" if near else "Remove it; docs/policy.md lists the keys."


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]
