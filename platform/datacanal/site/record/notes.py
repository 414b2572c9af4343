"""What a site tells of its record: enough for a job's submitter, and each entry's hash to hold the site to it."""

from __future__ import annotations

from datacanal.domain.rounding import rounded
from datacanal.protocol.site import EgressNote
from datacanal.site.record.entry import Recorded


def note_of(recorded: Recorded) -> EgressNote:
    """The entry for those outside, with no exact count of what is governed."""
    entry = recorded.entry
    return EgressNote(
        seq=recorded.seq,
        hash=recorded.hash,
        at_ms=entry.at_ms,
        decision=entry.decision,
        kind=entry.kind,
        step=entry.step,
        receivers=list(entry.receivers),
        policies=dict(entry.policies),
        rows=rounded(entry.rows) if entry.governed else entry.rows,
        bytes=entry.bytes,
        digest=entry.digest,
        withheld_groups=entry.withheld_groups,
        reason=entry.reason,
    )
