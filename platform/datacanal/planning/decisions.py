"""What a plan's policies decided, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datacanal.protocol.plan import DatasetInput, Step, TransferInput


def decisions(steps: Sequence[Step], query: Step) -> list[str]:
    """A sentence for each join key that travels and each dataset whose owner's policy is heeded."""
    return [*_travelling_keys(steps, query), *_owners([*steps, query])]


def _travelling_keys(steps: Sequence[Step], query: Step) -> Iterable[str]:
    """Join keys that another site gets to see."""
    sites = {step.id: step.site for step in steps}
    found: dict[str, None] = {}
    for step in (*steps, query):
        for taken in (each for each in step.inputs if isinstance(each, TransferInput)):
            keys = [column for column in taken.shipped if column.label.policy_class == "join_key"]
            for origin in (
                origin for key in keys if sites[taken.from_step] != step.site for origin in key.label.origins
            ):
                name = f"{origin.lake}.{origin.dataset}.{origin.column}"
                found[f"{name}: a join key, it goes to {step.site} to be compared there and is in no result."] = None
    return found


def _owners(steps: Sequence[Step]) -> Iterable[str]:
    """Datasets that are not wholly public, with what else is used of them."""
    found: dict[str, None] = {}
    for step in steps:
        for read in (each for each in step.inputs if isinstance(each, DatasetInput)):
            masked = [column.name for column in read.columns if column.label.policy_class == "masked"]
            if masked:
                listed = ", ".join(masked)
                found[f"{read.lake}.{read.dataset}: {listed} can only be seen through their masks."] = None
    return found
