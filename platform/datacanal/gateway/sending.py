"""Send an answer: a whole one at once, a long one as it is produced and no further than is reserved."""

from __future__ import annotations

import asyncio

from datacanal.domain.errors import DatacanalError
from datacanal.gateway.calls import Call, Headers
from datacanal.gateway.encoding import Encoder, encoder_for
from datacanal.gateway.executions import Long, Piece
from datacanal.gateway.negotiation import Format
from datacanal.gateway.reserving import Covering
from datacanal.protocol.problem import problem_of
from datacanal.serving.problems import status_of

_PART_BYTES = 256 * 1024
_STALLED_S = 30.0
"""How long a client may take none of a long answer."""


async def send_whole(call: Call, head: Headers, whole: bytes) -> None:
    """In parts, so that what a slow client has not taken yet is held once for all of them."""
    await call.start(200, head)
    if len(whole) <= _PART_BYTES:
        await call.send({"type": "http.response.body", "body": whole})
        return
    body = memoryview(whole)
    for at in range(0, len(body), _PART_BYTES):
        part = bytes(body[at : at + _PART_BYTES])
        await _sent(call, part, more=at + _PART_BYTES < len(body))


async def send_long(call: Call, head: Headers, long: Long, encoding: str, form: Format, paying: Covering) -> None:
    """Without the last chunk, which alone says that all is there, until all is there and paid."""
    sized = long.size_bytes if encoding == "identity" else None
    length: Headers = [] if sized is None else [(b"content-length", str(sized).encode())]
    await call.start(200, [*head, *length])
    encoder = encoder_for(encoding)
    try:
        await _send_pieces(call, long, encoder, paying)
    except DatacanalError as error:
        if form is Format.NDJSON:
            line = f'{{"error":{problem_of(error, status_of(error)).model_dump_json()}}}\n'
            await _sent(call, encoder.encode(line.encode()) + encoder.finish(), more=True)
        raise
    await _sent(call, encoder.finish(), more=False)


async def _send_pieces(call: Call, long: Long, encoder: Encoder, paying: Covering) -> None:
    """Each when the next is there and covered; the last, which says that it is the end, when all is settled."""
    before: Piece | None = None
    try:
        async for piece in long.pieces():
            await paying.cover(piece)
            if before is not None:
                await _send_piece(call, before, encoder)
                paying.sent(before)
            before = piece
    except DatacanalError:
        if before is not None:
            await _send_piece(call, before, encoder)
            paying.sent(before)
        raise
    if before is not None:
        await paying.complete(before)
        await _send_piece(call, before, encoder)


async def _send_piece(call: Call, piece: Piece, encoder: Encoder) -> None:
    for at in range(0, len(piece.body), _PART_BYTES):
        if ready := encoder.encode(piece.body[at : at + _PART_BYTES]):
            await _sent(call, ready, more=True)


async def _sent(call: Call, part: bytes, *, more: bool) -> None:
    async with asyncio.timeout(_STALLED_S):
        await call.send({"type": "http.response.body", "body": part, "more_body": more})
