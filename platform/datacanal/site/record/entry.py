"""One decision of the site, and its place in the chain: the hash covers the whole entry and the hash before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from datacanal.protocol.labels import PolicyClass
from datacanal.protocol.plan import PlanColumn

Kind = Literal["step", "transfer", "result", "log", "peer", "policy", "approval", "publication"]
"""What was decided about: a step before it had an output, an output, words of attempts, another site, a policy, a
function or statement, what becomes of a dataset in a product."""
Decision = Literal["released", "refused", "served", "accepted"]
"""`served`: released bytes went to a receiver. `accepted`: a peer was pinned, a policy taken into force, a function
approved, a publication agreed to; what is taken back is `refused`."""

KINDS: tuple[Kind, ...] = ("step", "transfer", "result", "log", "peer", "policy", "approval", "publication")
DECISIONS: tuple[Decision, ...] = ("released", "refused", "served", "accepted")
BEGINNING = "0" * 64
"""The hash before the first entry."""
COLUMNS = (
    "seq", "at_ms", "tenant", "principal", "purpose", "job", "step", "fence", "kind", "receivers", "plan_digest",
    "policies", "snapshots", "columns", "rows", "bytes", "digest", "withheld_groups", "governed", "decision", "reason",
    "previous",
)  # fmt: skip
"""What is hashed, in the order in which it is hashed."""
STORED = ", ".join((*COLUMNS, "hash"))
"""What is stored, as SQL names it."""
_REASON_AT_MOST = 4000


@dataclass(frozen=True)
class Entry:
    """One decision. What has no meaning for its kind stays empty; what the site does for itself is its own.

    `policies` maps lakes to policy digests, `snapshots` datasets (`lake.name`) to snapshots, `columns` holds names with
    their classes. `governed` says that somebody outside may learn `rows` rounded only.
    """

    at_ms: int
    kind: Kind
    decision: Decision
    tenant: str = "site"
    principal: str = "site"
    purpose: str | None = None
    job: str = ""
    step: str = ""
    fence: int = 0
    receivers: Sequence[str] = ()
    plan_digest: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[tuple[str, PolicyClass]] = ()
    rows: int = 0
    bytes: int = 0
    digest: str = ""
    withheld_groups: int = 0
    governed: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Recorded:
    """An entry in its place. `hash` is sha256 (hex) over `previous` and all that is above it."""

    seq: int
    entry: Entry
    previous: str
    hash: str

    @property
    def document(self) -> dict[str, Any]:
        """All of it, as JSON is written."""
        return {"seq": self.seq, **asdict(self.entry), "previous": self.previous, "hash": self.hash}


def classes_of(columns: Iterable[PlanColumn]) -> tuple[tuple[str, PolicyClass], ...]:
    """The columns as an entry names them."""
    return tuple((column.name, column.label.policy_class) for column in columns)


def values_of(seq: int, entry: Entry, previous: str) -> tuple[Any, ...]:
    """The entry as it is stored and hashed, in the order of `COLUMNS`."""
    return (
        seq,
        entry.at_ms,
        entry.tenant,
        entry.principal,
        entry.purpose,
        entry.job,
        entry.step,
        entry.fence,
        entry.kind,
        _text(list(entry.receivers)),
        entry.plan_digest,
        _text(dict(entry.policies)),
        _text(dict(entry.snapshots)),
        _text([list(column) for column in entry.columns]),
        entry.rows,
        entry.bytes,
        entry.digest,
        entry.withheld_groups,
        int(entry.governed),
        entry.decision,
        # Words about names that came over a wire: what is no text must not keep the refusal from being written down.
        entry.reason[:_REASON_AT_MOST].encode("utf-8", "backslashreplace").decode(),
        previous,
    )


def recorded_from(values: Sequence[Any], found_hash: str) -> Recorded:
    """The stored values (in the order of `COLUMNS`) as an entry."""
    named = dict(zip(COLUMNS, values, strict=True))
    seq, previous = named.pop("seq"), named.pop("previous")
    for name in ("receivers", "policies", "snapshots", "columns"):
        named[name] = json.loads(named[name])
    named["columns"] = [(name, policy_class) for name, policy_class in named["columns"]]
    named["governed"] = bool(named["governed"])
    return Recorded(seq, Entry(**named), previous, found_hash)


def hash_of(values: Sequence[Any]) -> str:
    """sha256 (hex) of the canonical entry. Raises `TypeError` or `ValueError` for what no entry can hold."""
    return hashlib.sha256(_text(values).encode()).hexdigest()


_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""One encoder for all: `json.dumps` would make one for each of a million entries."""
