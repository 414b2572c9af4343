"""What passes a relay: whatever is done to it on its way is noticed before a byte of it is used."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.protocol.site import RelayAsk
from datacanal.site.keys import SiteKeys
from datacanal.site.relay_cipher import (
    RECORD_BYTES,
    BadRecord,
    Sealing,
    Unsealing,
    ephemeral_key,
    public_text,
)

SENDER = SiteKeys(Ed25519PrivateKey.from_private_bytes(b"s" * 32), b"")
CONSUMER_KEY = ephemeral_key(lambda length: b"c" * length)
SENDER_KEY = ephemeral_key(lambda length: b"e" * length)
CONTENT = bytes(range(256)) * (3 * RECORD_BYTES // 256) + b"and a rest"
OPENING_BYTES = 96
HEADER_BYTES = 5
RECORD = HEADER_BYTES + RECORD_BYTES + 16


def ask(**changes: object) -> RelayAsk:
    asked = RelayAsk(
        session="",
        site="core",
        output="out_1",
        offset=0,
        ticket="ticket",
        time="1900000000",
        nonce="n",
        signature="signed",
        ephemeral=public_text(CONSUMER_KEY),
    )
    return asked.model_copy(update=changes)


def sealed(asked: RelayAsk | None = None, content: bytes = CONTENT, keys: SiteKeys = SENDER) -> bytes:
    sealing = Sealing(asked or ask(), keys, SENDER_KEY)
    return sealing.opening + sealing.records(content, last=True)


def unsealed(stream: bytes, asked: RelayAsk | None = None, chunk: int = 10_000) -> bytes:
    unsealing = Unsealing(asked or ask(), CONSUMER_KEY, SENDER.public)
    found = b"".join(part for at in range(0, len(stream), chunk) for part in unsealing.feed(stream[at : at + chunk]))
    if not unsealing.is_complete:
        raise BadRecord("cut")
    return found


@pytest.mark.parametrize("chunk", [1, 7, 96, 10_000, 10**7])
def test_what_was_sealed_arrives_however_it_is_cut_up_on_its_way(chunk: int) -> None:
    content = CONTENT if chunk > 1 else CONTENT[-RECORD_BYTES // 8 :]
    assert unsealed(sealed(content=content), chunk=chunk) == content


def test_nothing_at_all_is_a_stream_too() -> None:
    assert unsealed(sealed(content=b"")) == b""


def test_the_relay_cannot_read_it() -> None:
    assert CONTENT[:64] not in sealed()


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda stream: stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :]


def records(stream: bytes) -> list[bytes]:
    body = stream[OPENING_BYTES:]
    return [body[at : at + RECORD] for at in range(0, len(body), RECORD)]


def reordered(stream: bytes) -> bytes:
    first, second, *rest = records(stream)
    return stream[:OPENING_BYTES] + b"".join((second, first, *rest))


def repeated(stream: bytes) -> bytes:
    first, *rest = records(stream)
    return stream[:OPENING_BYTES] + b"".join((first, first, *rest))


def dropped(stream: bytes) -> bytes:
    first, _, *rest = records(stream)
    return stream[:OPENING_BYTES] + b"".join((first, *rest))


def declared_last(stream: bytes) -> bytes:
    """The first record, made to look like the last, and nothing after it."""
    first = records(stream)[0]
    return stream[:OPENING_BYTES] + b"\x02" + first[1:]


TAMPERING = {
    "the sender's key": flipped(0),
    "the last byte of the sender's key": flipped(31),
    "the signature": flipped(32),
    "the signature's end": flipped(95),
    "the kind of a record": flipped(96),
    "the length of a record": flipped(97),
    "the length's end": flipped(100),
    "the first sealed byte": flipped(101),
    "a byte amid a record": flipped(101 + RECORD_BYTES // 2),
    "the tag": flipped(OPENING_BYTES + RECORD - 1),
    "a later record": flipped(OPENING_BYTES + 2 * RECORD + 50),
    "the last byte": flipped(len(sealed()) - 1),
    "cut amid a record": lambda stream: stream[: OPENING_BYTES + RECORD + 100],
    "cut between records": lambda stream: stream[: OPENING_BYTES + RECORD],
    "cut in the opening": lambda stream: stream[:50],
    "cut by one byte": lambda stream: stream[:-1],
    "empty": lambda _: b"",
    "reordered": reordered,
    "repeated": repeated,
    "a record dropped": dropped,
    "a record declared the last": declared_last,
    "something appended": lambda stream: stream + b"x",
    "another fetch's records": lambda stream: stream[:OPENING_BYTES] + sealed(ask(nonce="m"))[OPENING_BYTES:],
    "a whole other fetch": lambda _: sealed(ask(nonce="m")),
    "another offset's": lambda _: sealed(ask(offset=5)),
    "another output's": lambda _: sealed(ask(output="out_2")),
    "another ticket's": lambda _: sealed(ask(ticket="other")),
    "another consumer's": lambda _: sealed(ask(ephemeral=public_text(SENDER_KEY))),
    "another sender's": lambda _: sealed(keys=SiteKeys(Ed25519PrivateKey.from_private_bytes(b"x" * 32), b"")),
    "a huge record": lambda stream: stream[:OPENING_BYTES] + b"\x01\xff\xff\xff\xff" + stream[OPENING_BYTES + 5 :],
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_noticed(what: str) -> None:
    spoiled = TAMPERING[what](sealed())
    assert spoiled != sealed()
    with pytest.raises(BadRecord):
        unsealed(spoiled)


@pytest.mark.parametrize("at", range(96 + 5 + 40 + 16))
def test_no_byte_of_a_short_stream_can_be_changed(at: int) -> None:
    stream = sealed(content=b"x" * 40)
    with pytest.raises(BadRecord):
        unsealed(flipped(at)(stream))


def test_what_was_checked_is_given_before_what_was_spoiled_is_refused() -> None:
    unsealing = Unsealing(ask(), CONSUMER_KEY, SENDER.public)
    given = unsealing.feed(flipped(OPENING_BYTES + RECORD + 50)(sealed()))
    assert next(given) == CONTENT[:RECORD_BYTES]
    with pytest.raises(BadRecord, match="record 1"):
        next(given)


def test_a_huge_length_is_refused_before_anything_is_held_for_it() -> None:
    unsealing = Unsealing(ask(), CONSUMER_KEY, SENDER.public)
    with pytest.raises(BadRecord, match="header"):
        list(unsealing.feed(sealed()[:OPENING_BYTES] + b"\x01\xff\xff\xff\xff"))


@pytest.mark.parametrize("key", ["", "nonsense", "AAAA", base64.b64encode(bytes(32)).decode()])
def test_a_consumer_s_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(BadRecord, match="is none"):
        Sealing(ask(ephemeral=key), SENDER, SENDER_KEY)
