"""Exit codes, decided by the error's kind."""

from __future__ import annotations

from datacanal.domain.errors import (
    DatacanalError,
    JobCancelled,
    Kind,
    RunError,
    ServiceBusy,
    ServiceUnreachable,
    StatementError,
    StoreUnavailable,
    error_classes,
)
from datacanal.domain.metering_errors import QuotaExhausted

DONE = 0
JOB_FAILED = 1
WRONG_USAGE = 2
UNREACHABLE = 3
REFUSED = 4
CANCELLED = 130


def exit_code(error: DatacanalError) -> int:
    """The code for an error, raised here or told by the service."""
    if error.code in (ServiceUnreachable.code, ServiceBusy.code, StoreUnavailable.code):
        return UNREACHABLE
    if error.code == JobCancelled.code:
        return CANCELLED
    if error.kind is Kind.POLICY or error.code == QuotaExhausted.code:
        return REFUSED
    if error.code in _codes(RunError):
        return JOB_FAILED
    if error.kind is Kind.USER or error.code in _codes(StatementError):
        return WRONG_USAGE
    return JOB_FAILED


def _codes(root: type[DatacanalError]) -> set[str]:
    return {found.code for found in error_classes(root)}
