"""One request and one answer, as plain as ASGI has them: this path runs thousands of times a second."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from datacanal.domain.errors import DatacanalError, MethodNotAllowed
from datacanal.protocol.problem import problem_of
from datacanal.serving.problems import PROBLEM_TYPE, headers_of, status_of

Header = tuple[bytes, bytes]
Headers = list[Header]
CACHING: Headers = [
    (b"cache-control", b"private, must-revalidate"),
    (b"vary", b"Accept, Accept-Encoding, Authorization"),
]


class Call:
    """A request, and its `id`. `headers` are by their lower-case names, repeated ones joined by commas."""

    __slots__ = ("has_started", "headers", "id", "method", "path", "query", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, request: str) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.has_started = False
        self.id = request
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b"," + value if name in headers else value
        self.headers = headers

    def header(self, name: bytes) -> str | None:
        """The header's value, whatever bytes it has."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def is_head(self) -> bool:
        """Whether only the head of the answer is wanted."""
        return self.method == "HEAD"

    async def answer(self, answer: Answer) -> None:
        """Send a whole answer."""
        await self.start(answer.status, [*answer.headers, (b"content-length", str(len(answer.body)).encode())])
        await self.send({"type": "http.response.body", "body": b"" if self.is_head else answer.body})

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""
        identified = [*headers, (b"datacanal-request-id", self.id.encode())]
        self.has_started = True
        message: Message = {"type": "http.response.start", "status": status, "headers": identified}
        await self.send(message)

    async def send_noting(self, message: Message) -> None:
        """Send what an application inside says, under this request's id."""
        if message["type"] == "http.response.start":
            await self.start(message["status"], list(message.get("headers", [])))
        else:
            await self.send(message)


@dataclass(frozen=True)
class Answer:
    """A whole answer; its length is added when it is sent."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""


def problem_answer(error: DatacanalError) -> Answer:
    """The error as a problem document."""
    status = status_of(error)
    said = headers_of(status)
    if isinstance(wait_s := error.data.get("retry_after_s"), int):
        said["Retry-After"] = str(wait_s)
    headers = [(name.lower().encode(), value.encode()) for name, value in said.items()]
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", str(error.data["allowed"]).encode()))
    headers += [(b"content-type", PROBLEM_TYPE.encode()), (b"cache-control", b"no-store")]
    return Answer(status, headers, problem_of(error, status).model_dump_json().encode("utf-8", "replace"))


def matches(etag: str, given: str | None) -> bool:
    """Whether If-None-Match names this ETag. Its weak form counts too, as RFC 9110 has it for this header."""
    if given is None:
        return False
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in given.split(","))


def not_modified(etag: str, more: Headers) -> Answer:
    """304: what the caller has is what it would get."""
    return Answer(304, [(b"etag", etag.encode()), *CACHING, *more])


def content_etag(content: bytes, encoding: str) -> str:
    """The strong ETag of a document."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}{suffix_of(encoding)}"'


def suffix_of(encoding: str) -> str:
    """What tells the ETags of the same content in different encodings apart."""
    return "" if encoding == "identity" else f"-{encoding}"
