"""What the egress policy says of a value: the strictest class of everything it depends on, and where that comes from.

Labels travel: in the plan, and signed in the schema of every transfer. They are joined, never loosened, except by a
protected aggregate (`Label.released`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from datacanal.protocol.base import Document

PolicyClass = Literal["public", "masked", "join_key", "aggregate", "secret"]
STRICTNESS: tuple[PolicyClass, ...] = ("public", "masked", "join_key", "aggregate", "secret")
FREE = frozenset({"public", "masked"})
"""Classes that may leave a site, in transfers and results alike; `join_key` may in transfers only."""


class Owner(Document):
    """A dataset that flowed into a value, under the policy (sha256, hex) that its site applied."""

    lake: str
    dataset: str
    policy: str


class Origin(Document):
    """A governed column (join_key, aggregate or secret) that a value depends on, with what its owner demands."""

    lake: str
    dataset: str
    column: str
    policy_class: PolicyClass
    entity: str | None = None
    min_group: int | None = None
    max_share: float | None = None
    buckets: list[str] = Field(default_factory=list, description="allowed boundaries of predicates, as SQL literals")
    bounded: bool = Field(default=False, description="only on which side of a boundary the value lies")
    released: bool = Field(default=False, description="it passed a protected aggregate: only large groups are left")


class Label(Document):
    """`owners` and `origins` are sorted and unique, so that equal labels are equal documents."""

    policy_class: PolicyClass = "public"
    owners: list[Owner] = Field(default_factory=list)
    origins: list[Origin] = Field(default_factory=list)

    @property
    def is_free(self) -> bool:
        """Whether the value may be seen by the job's submitter."""
        return self.policy_class in FREE

    @property
    def is_governed(self) -> bool:
        """Whether anything but public data flowed into it: a count of such values is told rounded."""
        return self.policy_class != "public" or bool(self.origins)

    def joined(self, *others: Label) -> Label:
        """The label of a value that depends on all of them."""
        labels = [label for label in (self, *others) if label != _PUBLIC]
        if len(labels) < 2:
            return labels[0] if labels else _PUBLIC
        owners = {(o.lake, o.dataset, o.policy): o for label in labels for o in label.owners}
        origins = {o.model_dump_json(): o for label in labels for o in label.origins}
        return Label(
            policy_class=max((label.policy_class for label in labels), key=STRICTNESS.index),
            owners=[owners[key] for key in sorted(owners)],
            origins=[origins[key] for key in sorted(origins)],
        )

    def derived(self) -> Label:
        """The label of what is worked out of it: a join_key that is no longer itself may not even travel."""
        return self.model_copy(update={"policy_class": "secret"}) if self.policy_class == "join_key" else self

    def released(self) -> Label:
        """The label of an aggregate over values of this label, once the gate has removed what is too small."""
        origins = {
            o.model_dump_json(): o for o in (each.model_copy(update={"released": True}) for each in self.origins)
        }
        return Label(policy_class="public", owners=self.owners, origins=[origins[key] for key in sorted(origins)])


_PUBLIC = Label()
