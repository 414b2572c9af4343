"""Errors as HTTP answers: the one place that turns codes and kinds into status codes."""

from __future__ import annotations

import sys

from starlette.responses import Response

from datacanal.domain import errors
from datacanal.domain import metering_errors as metering
from datacanal.domain import product_errors as products
from datacanal.domain.errors import DatacanalError, Kind, error_classes
from datacanal.protocol.problem import problem_of

PROBLEM_TYPE = "application/problem+json"

_BY_KIND = {Kind.USER: 422, Kind.POLICY: 403, Kind.RESOURCE: 422, Kind.EXTERNAL: 503, Kind.INTERNAL: 500}

# What differs from its kind: the request itself, rather than what it asks for, is at fault, or HTTP has a word for it.
_BY_CLASS: dict[type[DatacanalError], int] = {
    errors.BadRequest: 400,
    errors.BadField: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.BodyTooSlow: 408,
    errors.IdempotencyConflict: 409,
    errors.WrongState: 409,
    errors.SessionLost: 409,
    errors.StaleFence: 409,
    errors.ResultExpired: 410,
    errors.BodyTooLarge: 413,
    errors.AddressTooLong: 414,
    errors.MediaTypeNotSupported: 415,
    errors.RangeNotSatisfiable: 416,
    errors.QueueFull: 429,
    errors.HeadTooLong: 431,
    errors.TransferRefused: 403,
    errors.PeerUnknown: 403,
    errors.JoinRefused: 403,
    errors.OutputLost: 410,
    errors.SnapshotChanged: 409,
    errors.KernelMismatch: 409,
    errors.ContainerDiffers: 409,
    errors.BootSuperseded: 409,
    products.InvalidParameters: 400,
    products.BadCursor: 400,
    products.NoSubscription: 403,
    products.NamespaceTaken: 403,
    products.NoVersion: 404,
    products.VersionNotFound: 404,
    products.ProductExists: 409,
    products.ScheduleExists: 409,
    products.ContractHeld: 409,
    products.SnapshotGone: 410,
    products.ProductRetired: 410,
    metering.KeyMalformed: 401,
    metering.KeyWrong: 401,
    metering.KeyExpired: 401,
    metering.KeyRevoked: 401,
    metering.SignInRefused: 401,
    metering.SignInNotOffered: 404,
    metering.TooManyKeys: 409,
    metering.AccountExists: 409,
    metering.AccountClosed: 409,
    metering.SubscriptionExists: 409,
    metering.TariffNeeded: 400,
    metering.UnknownTariff: 404,
    metering.BadTariff: 400,
    metering.BadAmount: 400,
    metering.PeriodClosed: 409,
    metering.PeriodOpen: 409,
    metering.NothingToCredit: 409,
    metering.QuotaExhausted: 429,
    metering.TooManyCalls: 429,
    metering.RequestInProgress: 409,
    metering.AnswerGone: 410,
    metering.WebhookRefused: 400,
}


def status_of(error: DatacanalError) -> int:
    """The status of the answer that carries this error."""
    return _by_code().get(error.code, _BY_KIND[error.kind])


def _by_code() -> dict[str, int]:
    return {cls.code: status for cls, status in _BY_CLASS.items()}


def problem_response(error: DatacanalError) -> Response:
    """The error as a problem document."""
    status = status_of(error)
    return Response(
        problem_of(error, status).model_dump_json(), status, headers=headers_of(status), media_type=PROBLEM_TYPE
    )


def headers_of(status: int) -> dict[str, str]:
    """What an answer of that status says beside its document."""
    match status:
        case 401:
            return {"WWW-Authenticate": "Bearer"}
        case 429 | 503:
            return {"Retry-After": "5"}
        case _:
            return {}


def code_table() -> str:
    """Every code with kind and status, as Markdown."""
    rows = sorted({(cls.code, cls.kind.value, _table_status(cls), cls.says) for cls in error_classes()})
    lines = ["| code | kind | status | says |", "|---|---|---|---|"]
    lines += [f"| `{code}` | {kind} | {status} | {says} |" for code, kind, status, says in rows]
    return "\n".join(lines) + "\n"


def _table_status(cls: type[DatacanalError]) -> int:
    return _by_code().get(cls.code, _BY_KIND[cls.kind])


def page() -> str:
    """docs/errors.md, whole."""
    return _PAGE_HEAD + code_table()


_PAGE_HEAD = """# Errors

Every failure is a problem document (RFC 9457, `application/problem+json`) with `code`, `kind`, `detail`, `remedy`,
`retriable` and `data`. Codes and kinds are stable. A problem that stands inside a job rather than in an answer has the
status 0. This page is made from the error tree: `python -m datacanal.serving.problems > docs/errors.md`.

"""

if __name__ == "__main__":
    sys.stdout.write(page())
