"""Products, versions and reports as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from datacanal.cli.session import print_table
from datacanal.cli.text import bytes_text, visible
from datacanal.domain.product_errors import ContractHeld
from datacanal.domain.wording import counted
from datacanal.protocol.products import (
    Check,
    Contract,
    Difference,
    ProductSummary,
    ProductView,
    VersionDiff,
    VersionView,
)

_SIGNS = {"passed": "passed  ", "held": "HELD    ", "skipped": "skipped ", "accepted": "accepted"}
_RELEASED = ("staged", "canary", "stable", "superseded")
_ANSWERS = {"granted": "has agreed", "refused": "does not agree", "waiting": "is asked"}


def print_products(found: Sequence[ProductSummary]) -> None:
    """A line for each."""
    rows = [
        [
            each.name, each.title, each.owner, each.visibility, each.stable or "",
            "" if each.rows is None else f"{each.rows:,}",
            f"{each.published_at:%Y-%m-%d %H:%M}" if each.published_at else "",
            f"{each.retired_at:%Y-%m-%d}" if each.retired_at else "",
        ]
        for each in found
    ]  # fmt: skip
    names = ["product", "title", "owner", "visibility", "stable", "rows", "since (UTC)", "retired"]
    print_table(names, rows, right=[False, False, False, False, False, True])


def print_product(view: ProductView) -> None:
    """What it is, what it promises, where its channels point."""
    _say(f"{view.name}  {view.title}")
    retired = f", retired {view.retired_at:%Y-%m-%d}" if view.retired_at else ""
    _say(f"of {view.owner}, {view.visibility}, since {view.created_at:%Y-%m-%d}{retired}")
    if view.readers:
        _say(f"readers: {', '.join(view.readers)}")
    _say(f"contract: {_contract_text(view.contract)}")
    for channel in view.channels:
        to = f", {channel.share:.0%} of callers" if channel.share else ""
        to += f", groups {', '.join(channel.labels)}" if channel.labels else ""
        _say(f"{channel.channel}: {channel.version} ({channel.snapshot}) since {channel.since:%Y-%m-%d %H:%M}{to}")
    _say(f"{counted(view.versions, 'version')}; {view.keep} are kept beside the channels'")
    if view.description:
        print()
        print(visible(view.description, keep="\n\t"))


def print_versions(found: Sequence[VersionView]) -> None:
    """A line for each."""
    rows = [
        [
            each.version, each.state, "" if each.rows is None else f"{each.rows:,}", bytes_text(each.bytes),
            f"{each.created_at:%Y-%m-%d %H:%M}", each.snapshot, each.lineage.job, _why(each),
        ]
        for each in found
    ]  # fmt: skip
    names = ["version", "state", "rows", "size", "made (UTC)", "snapshot", "job", "why"]
    print_table(names, rows, right=[False, False, True, True])


def print_version(view: VersionView) -> None:
    """Its state, lineage, consents and report."""
    size = "" if view.rows is None else f", {counted(view.rows, 'row')}, {bytes_text(view.bytes)}"
    state = "has failed" if view.state == "failed" else f"is {view.state}"
    _say(f"{view.product} {view.version} {state} (snapshot {view.snapshot}{size})")
    if view.progress:
        _say(view.progress)
    _say(f"from job {view.lineage.job}, plan {view.lineage.plan[:12]}, code {view.lineage.code[:12]}")
    for given in view.lineage.inputs:
        _say(f"  reads {given.lake}.{given.dataset} at {given.site}, snapshot {given.snapshot}")
    for consent in view.consents:
        _say(f"  the owner of {consent.lake}.{consent.dataset} {_ANSWERS[consent.decision]}: {consent.reason}")
    for check in _checks(view):
        _print_check(check, is_released=view.state in _RELEASED)
    for each in view.restatements:
        sessions = ", ".join(each.sessions[:5]) + (" …" if len(each.sessions) > 5 else "")
        rows = counted(each.rows, "row")
        _say(f"restated from {each.old_version} to {each.new_version}: {rows} in {sessions}: {each.reason}")
    if view.reason:
        _say(f"reason: {view.reason}")


def print_diff(diff: VersionDiff) -> None:
    """Counts first, then what the schema lost or won, then examples."""
    added = counted(diff.added, "row")
    _say(f"{diff.old} → {diff.new}: {added} added, {diff.removed:,} removed, {diff.changed:,} changed")
    if diff.sessions:
        _say(f"values changed in {counted(len(diff.sessions), 'session')}: {', '.join(diff.sessions[:10])}")
    for difference in (*diff.columns, *diff.examples):
        _print_difference(difference)


def held_error(view: VersionView) -> ContractHeld:
    """The error for a version that its contract holds, with what its publisher can do."""
    held = [check for check in _checks(view) if check.outcome == "held"]
    advice = "; publish a job whose rows keep the contract, or publish it with --major"
    if all(check.acceptable for check in held):
        options = " ".join(f"--accept {check.check}" for check in held)
        command = f"datacanal product promote {view.product} --version {view.version} {options} --reason TEXT"
        advice = f"; `{command}` accepts it"
    names = ", ".join(check.check for check in held)
    return ContractHeld(product=view.product, version=view.version, checks=names, accept=advice)


def _checks(view: VersionView) -> list[Check]:
    return view.report.checks if view.report else []


def _print_check(check: Check, *, is_released: bool) -> None:
    """What held a version that was released all the same was accepted."""
    outcome = "accepted" if check.outcome == "held" and is_released else check.outcome
    may = " (may be accepted with a reason)" if outcome == "held" and check.acceptable else ""
    _say(f"{_SIGNS[outcome]}  {check.check}: {check.says}{may}")
    for difference in check.differences:
        _print_difference(difference)


def _print_difference(difference: Difference) -> None:
    _say(f"  {difference.what}")
    for example in difference.examples:
        _say(f"    {example}")


def _contract_text(contract: Contract) -> str:
    parts = [f"key {', '.join(contract.key)}"]
    parts += [f"not null {', '.join(contract.not_null)}"] if contract.not_null else []
    parts += [f"sessions by {contract.session}" + (f" of {contract.calendar}" if contract.calendar else "")] * bool(
        contract.session
    )
    parts += [f"row count within {contract.drift:.0%}"] if contract.drift is not None else []
    unit = "session" if contract.calendar else "day"
    fresh = contract.freshness
    parts += [f"newest session at most {counted(fresh.at_most, unit)} old"] if fresh else []
    return "; ".join(parts)


def _why(view: VersionView) -> str:
    if view.problem is not None:
        return view.problem.code
    if view.state in _RELEASED:
        return view.reason or ""
    return ", ".join(check.check for check in _checks(view) if check.outcome == "held") or view.reason or ""


def _say(text: str) -> None:
    print(visible(text))
