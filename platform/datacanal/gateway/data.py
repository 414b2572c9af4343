"""`…/data`: find the version, know the answer's ETag before anything is read, then answer in one of five formats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from datacanal.domain.access import Principal
from datacanal.domain.errors import DatacanalError, NotFound
from datacanal.domain.product_errors import NoVersion
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.asked import Asked, sample_of
from datacanal.gateway.calls import CACHING, Call, Headers, matches, not_modified, problem_answer, suffix_of
from datacanal.gateway.choosing import stable
from datacanal.gateway.documents import moment
from datacanal.gateway.encoding import encoder_for
from datacanal.gateway.executions import Long, Usage, Whole
from datacanal.gateway.finding import Finder
from datacanal.gateway.leaving import ClientLeft, unless_left
from datacanal.gateway.negotiation import MEDIA_TYPES, Format, encoding_for, format_for
from datacanal.gateway.pages import Pages
from datacanal.gateway.view import Product, Release
from datacanal.protocol.problem import problem_of
from datacanal.serving.handlers import failure_fields
from datacanal.serving.problems import status_of

_PIECE_BYTES = 256 * 1024
_STALLED_S = 30.0
"""How long a client may take none of a long answer."""
_log = structlog.get_logger()


class DataRoute:
    """Answers calls of a product's data. Belongs to one event loop."""

    def __init__(self, pages: Pages, finder: Finder, access: AccessRecord) -> None:
        self._pages = pages
        self._finder = finder
        self._access = access

    async def data(self, call: Call, product: Product, caller: Principal) -> None:
        """Answer with the page that the address asks for."""
        await self._noted(
            call, product, caller, lambda form: self._finder.by_address(call.query, product, caller, form)
        )

    async def sample(self, call: Call, product: Product, caller: Principal | None) -> None:
        """Answer with the first rows of the stable version. Raises `NotFound` where the product shows none."""
        rows = product.sample.rows
        if not rows:
            raise NotFound(what="sample of", name=product.name)
        await self._noted(call, product, caller, lambda form: sample_of(product.name, stable(product), rows, form))

    async def _noted(
        self, call: Call, product: Product, caller: Principal | None, find: Callable[[Format], Asked]
    ) -> None:
        """Answer the call, and take it down whatever came of it."""
        noted = _Noted(self._access, call, product, caller)
        try:
            form = format_for(call.header(b"accept") or "")
            encoding = "identity" if form is Format.PARQUET else encoding_for(call.header(b"accept-encoding") or "")
            noted.asked = asked = find(form)
            await self._answer(call, asked, encoding, noted)
        except NoVersion:  # there may be one by now: whoever called decides
            raise
        except DatacanalError as error:
            answer = problem_answer(error)
            noted.write(answer.status)
            await call.answer(answer)
        except ClientLeft:
            noted.write(499)
        except TimeoutError:  # it takes nothing any more; without an end the connection breaks
            noted.write(499)

    async def _answer(self, call: Call, asked: Asked, encoding: str, noted: _Noted) -> None:
        etag = f'"{asked.digest}{suffix_of(encoding)}"'
        head = _head(asked, etag, encoding)
        if matches(etag, call.header(b"if-none-match")):
            noted.write(304, hit=True)
            await call.answer(not_modified(etag, _version_headers(asked.release)))
        elif call.is_head:
            noted.write(200)
            await call.start(200, head)
            await call.send({"type": "http.response.body"})
        elif (held := self._pages.held(asked, encoding)) is not None:
            noted.write(200, held.usage, hit=True)
            await _send_whole(call, head, held)
        else:
            await self._produce(call, asked, encoding, head, noted)

    async def _produce(self, call: Call, asked: Asked, encoding: str, head: Headers, noted: _Noted) -> None:
        made = await unless_left(call.receive, self._pages.produced(asked))
        if isinstance(made, Whole):
            self._pages.keep(asked, made, "identity")
            whole = made if encoding == "identity" else self._pages.keep(asked, made, encoding)
            noted.write(200, whole.usage)
            await _send_whole(call, head, whole)
            return
        try:
            await unless_left(call.receive, _send_long(call, head, made, encoding, asked.format))
            noted.write(200, made.usage)
        except ClientLeft:
            raise
        except Exception as error:  # the head has left: only a connection that breaks can say it
            _log.warning("answer_broken_off", request=call.id, **failure_fields(error))
            noted.write(599)
        finally:
            made.close()


async def _send_whole(call: Call, head: Headers, whole: Whole) -> None:
    """In pieces, so that what a slow client has not taken yet is held once for all of them."""
    usage = whole.usage
    headers = [*head, (b"content-length", str(len(whole.body)).encode()), *_usage_headers(usage)]
    await call.start(200, headers)
    if len(whole.body) <= _PIECE_BYTES:
        await call.send({"type": "http.response.body", "body": whole.body})
        return
    body = memoryview(whole.body)
    for at in range(0, len(body), _PIECE_BYTES):
        piece = bytes(body[at : at + _PIECE_BYTES])
        await _sent(call, piece, more=at + _PIECE_BYTES < len(body))


async def _send_long(call: Call, head: Headers, long: Long, encoding: str, form: Format) -> None:
    """Without the last chunk, which alone says that all is there, until all is there."""
    sized = long.size_bytes if encoding == "identity" else None
    length: Headers = [] if sized is None else [(b"content-length", str(sized).encode())]
    known = _usage_headers(long.usage) if long.size_bytes is not None else []
    await call.start(200, [*head, *length, *known])
    encoder = encoder_for(encoding)
    try:
        async for piece in long.pieces():
            for at in range(0, len(piece), _PIECE_BYTES):
                if ready := encoder.encode(piece[at : at + _PIECE_BYTES]):
                    await _sent(call, ready, more=True)
    except DatacanalError as error:
        if form is Format.NDJSON:
            line = f'{{"error":{problem_of(error, status_of(error)).model_dump_json()}}}\n'
            await _sent(call, encoder.encode(line.encode()) + encoder.finish(), more=True)
        raise
    await _sent(call, encoder.finish(), more=False)


async def _sent(call: Call, piece: bytes, *, more: bool) -> None:
    async with asyncio.timeout(_STALLED_S):
        await call.send({"type": "http.response.body", "body": piece, "more_body": more})


def _head(asked: Asked, etag: str, encoding: str) -> Headers:
    headers = [(b"content-type", MEDIA_TYPES[asked.format].encode()), (b"etag", etag.encode()), *CACHING]
    if encoding != "identity":
        headers.append((b"content-encoding", encoding.encode()))
    return [*headers, *_version_headers(asked.release)]


def _version_headers(release: Release) -> Headers:
    return [
        (b"datacanal-snapshot", release.snapshot.encode()),
        (b"datacanal-as-of", (moment(release.served_at) or "").encode()),
        (b"datacanal-version", release.version.encode()),
    ]


def _usage_headers(usage: Usage) -> Headers:
    text = f"calls=1, rows={usage.rows}, bytes={usage.bytes}, compute_ms={usage.compute_ms}, units={usage.rows}"
    headers = [(b"datacanal-usage", text.encode())]
    if usage.next is not None:
        headers.append((b"link", f'<{usage.next}>; rel="next"'.encode()))
    return headers


class _Noted:
    """A call as the access record has it."""

    def __init__(self, access: AccessRecord, call: Call, product: Product, caller: Principal | None) -> None:
        self._access = access
        self._call = call
        self._product = product
        self._caller = caller
        self.asked: Asked | None = None

    def write(self, status: int, usage: Usage | None = None, *, hit: bool = False) -> None:
        """499: the client left; 599: the answer was broken off."""
        asked = self.asked
        self._access.note(
            request=self._call.id,
            tenant=self._product.tenant,
            principal=self._caller.name if self._caller else None,
            product=self._product.name,
            version=asked.release.version if asked else None,
            snapshot=asked.release.snapshot if asked else None,
            query=asked.text if asked else None,
            format=asked.format.value if asked else None,
            status=status,
            rows=usage.rows if usage else 0,
            bytes=usage.bytes if usage else 0,
            compute_ms=usage.compute_ms if usage and not hit else 0,
            etag_hit=hit,
        )
