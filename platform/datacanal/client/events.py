"""Server-sent events of a job, as a stream that goes on after a broken connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import httpx

from datacanal.client.connection import Connection, Patience
from datacanal.domain.errors import RemoteError
from datacanal.protocol.public import Event


def follow_events(connection: Connection, job: str, after: int = 0) -> Iterator[Event]:
    """The job's events from `after` on, each once, up to the job's end."""
    patience: Patience | None = None
    while True:
        try:
            for event in _one_connection(connection, job, after):
                after = event.seq
                patience = None
                yield event
            return
        except (httpx.TransportError, RemoteError) as error:
            if isinstance(error, RemoteError) and not error.retriable:
                raise
            patience = patience or connection.patience()
            if not patience.pause():
                raise (error if isinstance(error, RemoteError) else connection.unreachable(error)) from None


def _one_connection(connection: Connection, job: str, after: int) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}
    with connection.stream(f"/v1/jobs/{job}/events", query={}, headers=headers) as answer:
        yield from parse_events(answer.iter_lines())


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in an SSE body; comments (keep-alives) are skipped."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield Event.model_validate_json("\n".join(data))
            data = []
