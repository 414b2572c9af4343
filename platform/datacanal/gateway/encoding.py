"""Compress answers: whole ones at once, long ones piece by piece. The same bytes give the same bytes."""

from __future__ import annotations

import zlib
from io import RawIOBase
from typing import Any, Protocol

import pyarrow as pa

_GZIP_LEVEL = 5
_ZSTD_LEVEL = 3
_GZIP_WINDOW = 31
"""The window's size, and that gzip's header belongs around it."""


class Encoder(Protocol):
    """Takes what is to be said, gives what can be sent."""

    def encode(self, content: bytes) -> bytes:
        """What is ready; possibly nothing yet."""

    def finish(self) -> bytes:
        """All that is left."""


def encoded(content: bytes, encoding: str) -> bytes:
    """The whole content in that encoding."""
    if encoding == "zstd":
        return bytes(pa.Codec("zstd", _ZSTD_LEVEL).compress(content, asbytes=True))
    encoder = encoder_for(encoding)
    return encoder.encode(content) + encoder.finish()


def encoder_for(encoding: str) -> Encoder:
    """A new encoder of one of `negotiation.ENCODINGS`."""
    match encoding:
        case "zstd":
            return _Zstd()
        case "gzip":
            return _Gzip()
    return _Identity()


class _Identity:
    def encode(self, content: bytes) -> bytes:
        return content

    def finish(self) -> bytes:
        return b""


class _Gzip:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def encode(self, content: bytes) -> bytes:
        return self._compressor.compress(content)

    def finish(self) -> bytes:
        return self._compressor.flush()


class _Zstd:
    """One frame, because some decoders stop after the first."""

    def __init__(self) -> None:
        self._ready = _Taken()
        self._stream = pa.CompressedOutputStream(self._ready, "zstd")

    def encode(self, content: bytes) -> bytes:
        self._stream.write(content)
        self._stream.flush()  # the caller waits for what was said so far
        return self._ready.take()

    def finish(self) -> bytes:
        self._stream.close()
        return self._ready.take()


class _Taken(RawIOBase):
    """What was written since it was taken the last time."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._held += content
        return len(content)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
