"""Reports: what holds a version, and whether its publisher accepts that. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from datacanal.domain.product_errors import ContractHeld
from datacanal.protocol.products import Check, Report


def replayed_again(report: Report, newer: Report) -> Report:
    """The report with the newer one's replay in place of its own: all else was checked when the version was made."""
    others = [check for check in report.checks if check.check != "replay"]
    return report.model_copy(update={"checks": [*others, *replay_of(newer)]})


def held(report: Report) -> list[Check]:
    """The checks that stop the release."""
    return [check for check in report.checks if check.outcome == "held"]


def unaccepted(report: Report, accept: Sequence[str]) -> list[Check]:
    """Those that stop it although the publisher accepts what these names say; some nobody may accept."""
    return [check for check in held(report) if not (check.acceptable and check.check in accept)]


def contract_held(product: str, version: str, report: Report, accept: Sequence[str]) -> ContractHeld:
    """The error for a version that its report holds, with what can be done."""
    stopping = unaccepted(report, accept)
    advice = "; make a version whose rows keep the contract, or a new major version"
    if all(check.acceptable for check in stopping):
        options = " ".join(f"--accept {check.check}" for check in stopping)
        advice = f"; `{options} --reason TEXT` accepts it"
    names = ", ".join(check.check for check in stopping)
    return ContractHeld(product=product, version=version, checks=names, accept=advice)


def replay_of(report: Report) -> list[Check]:
    """Its check of what was asked before, if it has one."""
    return [check for check in report.checks if check.check == "replay"]
