"""What the control plane answers, and what it means when it does not."""

from __future__ import annotations

import ssl
from typing import TypeVar

import httpx
from pydantic import ValidationError

from datacanal.domain.errors import ServiceBusy, ServiceUnreachable
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem, error_of

M = TypeVar("M", bound=Document)


def checked(response: httpx.Response) -> bytes:
    """The body of an answer that was read. Raises `ServiceBusy` where another try may help, else the problem in it."""
    if response.is_success:
        return response.content
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise ServiceBusy(reason=f"status {response.status_code}")
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        raise ServiceBusy(reason=f"status {response.status_code} without a problem document") from None
    raise error_of(problem)


def read_answer(model: type[M], content: bytes) -> M:
    """The document. Raises `ServiceBusy` for one of another version."""
    try:
        return model.model_validate_json(content)
    except ValidationError:
        raise ServiceBusy(reason="its answer is of another version") from None


def unreachable(url: str, error: httpx.TransportError) -> ServiceUnreachable:
    """What a failure of the transport means."""
    return ServiceUnreachable(url=url, reason=words_of(error))


def words_of(error: httpx.TransportError) -> str:
    """The failure in words: one of TLS says more than the library that reports it."""
    if is_of_another_key(error):
        return "whoever answers there does not hold the key that is pinned for it"
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError) and not str(error):
        return "the connection was closed without an answer"
    return f"{type(error).__name__} {error}".strip()


def is_of_another_key(error: BaseException) -> bool:
    """Whether TLS found another certificate than the pinned one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
