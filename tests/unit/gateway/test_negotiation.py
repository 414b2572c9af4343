"""What Accept headers allow."""

from __future__ import annotations

import zlib

import pyarrow as pa
import pytest

from datacanal.domain.errors import NotAcceptable
from datacanal.gateway.encoding import encoded, encoder_for
from datacanal.gateway.negotiation import check_accepts, encoding_for, format_for


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("text/*", "csv"),
        ("text/csv", "csv"),
        ("TEXT/CSV", "csv"),
        ("application/x-ndjson", "ndjson"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("application/vnd.apache.parquet;q=0.9, application/json;q=0.5", "parquet"),
        ("application/json;q=0, */*;q=0.1", "ndjson"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "json"),
        ("text/csv;q=0.5,application/json;q=0.4", "csv"),
        ("text/csv; charset=utf-8; q=0.3, application/x-ndjson; q=0.2", "csv"),
        (",,", "json"),
    ],
)
def test_the_format_that_is_most_welcome_is_taken(accept: str, found: str) -> None:
    assert format_for(accept) == found


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "json", "application/json;q=x"])
def test_what_cannot_be_given_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        format_for(accept)


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("br", "identity"),
        ("identity", "identity"),
        ("identity;q=0.5, gzip;q=0.1", "identity"),
        ("gzip;q=0", "identity"),
        ("GZIP", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
    ],
)
def test_the_encoding_that_is_most_welcome_is_taken(accept: str, found: str) -> None:
    assert encoding_for(accept) == found


@pytest.mark.parametrize("accept", ["identity;q=0", "*;q=0", "br, identity;q=0"])
def test_no_encoding_at_all_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        encoding_for(accept)


def test_a_document_of_one_type_is_refused_where_that_is_not_accepted() -> None:
    check_accepts("application/*", "application/json")
    with pytest.raises(NotAcceptable):
        check_accepts("text/csv", "application/json")


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
def test_pieces_and_the_whole_decode_to_the_same(encoding: str) -> None:
    content = b"".join(b'{"number":%d}\n' % number for number in range(50_000))
    encoder = encoder_for(encoding)
    pieces = b"".join(encoder.encode(content[at : at + 9999]) for at in range(0, len(content), 9999))
    assert decoded(pieces + encoder.finish(), encoding) == content
    assert decoded(encoded(content, encoding), encoding) == content
    assert encoded(content, encoding) == encoded(content, encoding)


def decoded(content: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return zlib.decompress(content, 31)
    if encoding == "zstd":
        return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())
    return content
