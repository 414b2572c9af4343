"""What the owner decides, as the record holds it: policies that are in force, other sites that are pinned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from datacanal.certificates import Certificate
from datacanal.site.policy import Policy
from datacanal.site.policy.book import PolicyVersion, PolicyVersions
from datacanal.site.record.book import RecordBook
from datacanal.site.record.entry import Entry

_TAKEN_AWAY = "its pin was taken away"


class RecordedVersions:
    """Policy versions, each recorded before it is kept: a policy in force that the record does not know cannot be."""

    def __init__(self, versions: PolicyVersions, record: RecordBook) -> None:
        self._versions = versions
        self._record = record

    def keep(self, lake: str, policy: Policy, now_ms: int) -> None:
        """Note that the policy is in force from now on, unless it is already."""
        known = self._versions.versions(lake)
        if not known or known[-1].policy.digest != policy.digest:
            self._record.add(
                Entry(
                    at_ms=now_ms,
                    kind="policy",
                    decision="accepted",
                    policies={lake: policy.digest},
                    digest=policy.digest,
                )
            )
        self._versions.keep(lake, policy, now_ms)

    def versions(self, lake: str) -> Sequence[PolicyVersion]:
        """Every version, the oldest first."""
        return self._versions.versions(lake)


class RecordedPins:
    """Which sites are pinned with which certificate, as the record last said. May be used from several threads."""

    def __init__(self, record: RecordBook, now_ms: Callable[[], int]) -> None:
        self._record = record
        self._now_ms = now_ms
        self._noting = threading.Lock()

    def note(self, pinned: Mapping[str, Certificate]) -> None:
        """Record each pin that is new or another, and each that is gone."""
        with self._noting:
            before = self._known()
            now = {site: certificate.fingerprint for site, certificate in pinned.items()}
            for site in sorted(before.keys() | now.keys()):
                if before.get(site) != now.get(site):
                    self._record.add(self._entry(site, now.get(site)))

    def _known(self) -> dict[str, str]:
        """Fingerprints by site."""
        entries = [recorded.entry for recorded in self._record.entries(job="", step="")]
        said = {entry.receivers[0]: entry for entry in entries if entry.kind == "peer" and entry.receivers}
        return {site: entry.digest for site, entry in said.items() if entry.decision == "accepted"}

    def _entry(self, site: str, fingerprint: str | None) -> Entry:
        if fingerprint is None:
            at_ms, gone = self._now_ms(), _TAKEN_AWAY
            return Entry(at_ms=at_ms, kind="peer", decision="refused", receivers=(site,), reason=gone)
        return Entry(at_ms=self._now_ms(), kind="peer", decision="accepted", receivers=(site,), digest=fingerprint)
