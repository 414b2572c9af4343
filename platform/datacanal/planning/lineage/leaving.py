"""Whether what a step gives may leave its site, and in which words it may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datacanal.domain.errors import PolicyRefused
from datacanal.planning.lineage.sources import unreleased
from datacanal.protocol.labels import STRICTNESS, Label, Origin


def check_leaving(
    labels: Sequence[Label], names: Sequence[str], reasons: Mapping[str, str], *, inside_transfer: bool
) -> None:
    """Raise `PolicyRefused` unless every column may leave: as public or masked, or as a join key inside a transfer.

    `labels` and `names` are those of the columns that leave, `reasons` the relation's.
    """
    kept = [
        (label, name)
        for label, name in zip(labels, names, strict=True)
        if not label.is_free and not (inside_transfer and label.policy_class == "join_key")
    ]
    if kept:
        raise refusal(*max(kept, key=lambda each: STRICTNESS.index(each[0].policy_class)), reasons)


def refusal(label: Label, name: str, reasons: Mapping[str, str]) -> PolicyRefused:
    """Why a value of the label may not be shown as the column `name`: its strictest origin, and how it was used."""
    origin = max(unreleased(label), key=lambda each: STRICTNESS.index(each.policy_class), default=None)
    if origin is None:
        return PolicyRefused(column=name, rule=f"its class is {label.policy_class}.", hint="Leave the column out.")
    column = column_name(origin)
    used = reasons.get(column, f"as the column {name!r}")
    return PolicyRefused(column=column, rule=f"{rule(origin)} It is used {used}.", hint=hint(origin))


def column_name(origin: Origin) -> str:
    """The governed column in full."""
    return f"{origin.lake}.{origin.dataset}.{origin.column}"


def rule(origin: Origin) -> str:
    """The sentence of the policy."""
    match origin.policy_class:
        case "secret":
            return "its class is secret: nothing that depends on it may leave its site."
        case "join_key":
            return "its class is join_key: it may only be set equal to a join_key of another dataset."
        case "aggregate":
            return (
                "its class is aggregate: it may only be seen as count, sum or avg of the bare column, over groups of "
                f"at least {origin.min_group} different {origin.entity}."
            )
    return f"its class is {origin.policy_class}."


def hint(origin: Origin) -> str:
    """A change that would be legal."""
    match origin.policy_class:
        case "join_key":
            return (
                f"Join ON {origin.column} = the key of the other dataset (or USING, EXISTS, IN, SEMI JOIN), and leave "
                "it out of everything else."
            )
        case "aggregate" if origin.buckets:
            limits = ", ".join(origin.buckets)
            return (
                f"Ask for sum({origin.column}), avg({origin.column}) or count({origin.column}) grouped by public "
                f"columns; in WHERE compare it with <, <=, > or >= and one of {limits}."
            )
        case "aggregate":
            return (
                f"Ask for sum({origin.column}), avg({origin.column}) or count({origin.column}) grouped by public "
                "columns, and leave it out of everything else."
            )
    return f"Leave {origin.column} out of the statement, of SELECT * too."
