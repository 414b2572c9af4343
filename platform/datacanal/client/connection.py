"""HTTP to the service: authenticated, patient with a service that restarts, problems raised as errors of the tree."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from pydantic import ValidationError

from datacanal.domain.errors import DatacanalError, ServiceUnreachable
from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem, error_of

D = TypeVar("D", bound=Document)
Clock = Callable[[], float]
Sleep = Callable[[float], None]

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
# A proxy in front of a restarting service answers with these, and the service itself, which says whether to try again.
_PASSING = frozenset({502, 503, 504})
_TOO_MANY = 429
# The service has seen nothing of these requests, so they may be repeated whatever they ask.
_NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)


class Connection:
    """One service and one caller.

    A service that never answered is reported as `ServiceUnreachable` at once; one that did answer before gets
    `patience_s` to come back. Only requests that may run twice are repeated. Without a token the service is asked all
    the same, and `without_token` raised when it wants one: whether it is there at all comes first.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        without_token: DatacanalError | None = None,
        ca: Path | None = None,
        transport: httpx.BaseTransport | None = None,
        patience_s: float = 30.0,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        new_key: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self.url = url
        self._new_key = new_key
        self._without_token = without_token
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._has_answered = False
        try:
            self._http = httpx.Client(
                base_url=url,
                headers={**({"Authorization": f"Bearer {token}"} if token else {}), "Accept-Encoding": "identity"},
                timeout=httpx.Timeout(60.0, connect=5.0),
                transport=transport,
                verify=_verifying(url, ca),
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise ServiceUnreachable(url=url, reason=f"this is not a usable address: {error}") from None

    def close(self) -> None:
        """Give the connections back; the object cannot be used afterwards."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """The answer, read whole. Raises the service's problem, or `ServiceUnreachable`."""
        patience = self.patience()
        while True:
            try:
                answer = self._http.request(method, path, json=json, params=query, headers=headers)
            except httpx.HTTPError as error:
                self._bear(patience, error, repeatable=repeatable)
                continue
            self._has_answered = True
            if repeatable and _may_pass(answer) and patience.pause(_retry_after(answer)):
                continue
            if answer.is_error:
                raise self._refusal(answer)
            return answer

    def get(self, document: type[D], path: str, query: Mapping[str, str] | None = None) -> D:
        """The document at a path."""
        return self._read(document, self.call("GET", path, query=query))

    def post(self, document: type[D], path: str, body: Document | None, *, repeatable: bool = True) -> D:
        """The document that answers a body."""
        return self._read(document, self.call("POST", path, json=_as_json(body), repeatable=repeatable))

    def patch(self, document: type[D], path: str, body: Document) -> D:
        """The document that answers changes; fields that were not set are left out."""
        return self._read(document, self.call("PATCH", path, json=body.model_dump(mode="json", exclude_unset=True)))

    def submit(self, document: type[D], path: str, body: Document | None, *, key: str | None = None) -> D:
        """POST with an Idempotency-Key, by default its own, so that it may be repeated and still happens once."""
        headers = {"Idempotency-Key": key or self._new_key()}
        return self._read(document, self.call("POST", path, json=_as_json(body), headers=headers))

    def get_once(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """GET of what costs something: however often it is repeated, it is charged once."""
        return self.call("GET", path, headers={**headers, "Idempotency-Key": self._new_key()})

    @contextmanager
    def stream(self, path: str, *, query: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An answer whose body is read while it arrives; once open, a broken link raises `httpx.TransportError`."""
        with self._http.stream("GET", path, params=query, headers=headers) as answer:
            self._has_answered = True
            if answer.is_error:
                answer.read()
                raise self._refusal(answer)
            yield answer

    def patience(self) -> Patience:
        """A fresh allowance for one operation."""
        return Patience(self._patience_s, self._clock, self._sleep)

    def unreachable(self, error: Exception) -> ServiceUnreachable:
        """The error of the tree for a failure of the transport."""
        return ServiceUnreachable(url=self.url, reason=str(error) or type(error).__name__)

    def _read(self, document: type[D], answer: httpx.Response) -> D:
        try:
            return document.model_validate_json(answer.content)
        except ValidationError:
            raise ServiceUnreachable(
                url=self.url, reason=f"its answer is no {document.__name__} that this client knows (another version?)"
            ) from None

    def _refusal(self, answer: httpx.Response) -> DatacanalError:
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._without_token is not None:
            return self._without_token
        return problem_in(answer)

    def _bear(self, patience: Patience, error: httpx.HTTPError, *, repeatable: bool) -> None:
        never_arrived = isinstance(error, _NEVER_ARRIVED)
        is_hopeless = never_arrived and not self._has_answered
        if is_hopeless or not (repeatable or never_arrived) or not patience.pause():
            raise self.unreachable(error) from None


class Patience:
    """How long an operation may go on trying, with pauses that grow."""

    def __init__(self, allowed_s: float, clock: Clock, sleep: Sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._ends_at = clock() + allowed_s
        self._pause_s = _FIRST_PAUSE_S

    def pause(self, at_least_s: float = 0.0) -> bool:
        """Wait before the next try; False when the allowance is used up."""
        pause_s = max(self._pause_s, at_least_s)
        if self._clock() + pause_s > self._ends_at:
            return False
        self._sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return True


def _verifying(url: str, ca: Path | None) -> ssl.SSLContext | bool:
    """What an https service must prove. Raises `ServiceUnreachable` for a `ca` that is no PEM file."""
    if ca is None:
        return True
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ServiceUnreachable(url=url, reason=f"{ca} (DATACANAL_CA): {error.strerror or error}") from None
    # Where not an authority is named but the service's own certificate, that is enough.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def problem_in(answer: httpx.Response) -> DatacanalError:
    """The error that a failed answer tells of; what is no problem document did not come from the service."""
    try:
        return error_of(Problem.model_validate_json(answer.content))
    except ValidationError:
        return ServiceUnreachable(
            url=str(answer.request.url.copy_with(path="/", query=None)),
            reason=f"it answered {answer.status_code} without a problem document, so it is not Datacanal",
        )


def _may_pass(answer: httpx.Response) -> bool:
    """Whether the same request may be answered otherwise in a moment."""
    if answer.status_code == _TOO_MANY:
        return "Retry-After" in answer.headers
    if answer.status_code not in _PASSING:
        return False
    try:
        return Problem.model_validate_json(answer.content).retriable
    except ValidationError:
        return True


def _as_json(body: Document | None) -> Any:
    return None if body is None else body.model_dump(mode="json")


def _retry_after(answer: httpx.Response) -> float:
    given = answer.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else 0.0
