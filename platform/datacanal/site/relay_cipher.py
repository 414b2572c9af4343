"""What two sites say to each other through a relay that must not understand it.

Both make an X25519 key for this one fetch and sign it with the key that the other has pinned; what follows is sealed
with ChaCha20-Poly1305 (RFC 8439) in records, each with a header that says how long it is and whether it is the last:

    answer:  ephemeral key (32 bytes) · signature (64 bytes) · records
    record:  kind (1: more follow, 2: the last) · length (4 bytes) · sealed content with its tag

The key is HKDF-SHA256 over the shared secret, salted with everything that was said before: the sender's site, the
output, the offset, the ticket (and so job, step, fence and consumer), time, nonce and both ephemeral keys. The nonce
of a record is its number, its header is authenticated with it.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from datacanal.protocol.site import RelayAsk
from datacanal.site.keys import SiteKeys, is_signed_by
from datacanal.site.tickets import Proof, fetch_text

RECORD_BYTES = 64 * 1024
_HEADER = struct.Struct("!BI")
_TAG_BYTES = 16
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_MORE, _LAST = 1, 2


class BadRecord(Exception):
    """What came is not what was sent; the words say what is wrong with it."""


def ephemeral_key(randomness: Callable[[int], bytes]) -> X25519PrivateKey:
    """A key for one fetch."""
    return X25519PrivateKey.from_private_bytes(randomness(_KEY_BYTES))


def public_text(key: X25519PrivateKey) -> str:
    """Its public half, base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def asked_part(site: str, offset: int, ephemeral: str) -> str:
    """What a consumer signs in place of a range: from which sender, from which byte on, with which key."""
    return f"relay from {site} at {offset} for {ephemeral}"


def proof_in(ask: RelayAsk) -> Proof:
    """What the ask proves itself with."""
    return Proof(ask.ticket, ask.time, ask.nonce, ask.signature)


class Sealing:
    """The sender's side of one fetch. Raises `BadRecord` for an ephemeral key that is none."""

    def __init__(self, ask: RelayAsk, keys: SiteKeys, key: X25519PrivateKey) -> None:
        said = _said(ask, public_text(key))
        signature = base64.b64decode(keys.sign(said))
        self.opening = key.public_key().public_bytes_raw() + signature
        self._cipher = _cipher(key, ask.ephemeral, said)
        self._number = 0

    def records(self, content: bytes, *, last: bool) -> bytes:
        """The content as records; the last one of all ends the stream and may be empty."""
        parts = [content[at : at + RECORD_BYTES] for at in range(0, len(content), RECORD_BYTES)]
        if last and not parts:
            parts = [b""]
        return b"".join(self._record(part, last=last and at == len(parts) - 1) for at, part in enumerate(parts))

    def _record(self, content: bytes, *, last: bool) -> bytes:
        header = _HEADER.pack(_LAST if last else _MORE, len(content) + _TAG_BYTES)
        sealed = self._cipher.encrypt(_nonce(self._number), content, header)
        self._number += 1
        return header + sealed


class Unsealing:
    """The consumer's side: takes the bytes as they come and gives what they hold, each part checked before it is given.

    `sender` is the sender's pinned key. Raises `BadRecord`.
    """

    def __init__(self, ask: RelayAsk, key: X25519PrivateKey, sender: str) -> None:
        self._ask = ask
        self._key = key
        self._sender = sender
        self._cipher: ChaCha20Poly1305 | None = None
        self._held = bytearray()
        self._number = 0
        self.is_complete = False

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The contents that are whole now."""
        self._held += received
        if self._cipher is None:
            if len(self._held) < _KEY_BYTES + _SIGNATURE_BYTES:
                return
            self._cipher = self._opened(self._taken(_KEY_BYTES), self._taken(_SIGNATURE_BYTES))
        while (content := self._next(self._cipher)) is not None:
            yield content
        if self.is_complete and self._held:
            raise BadRecord("something follows its last record")

    def _opened(self, ephemeral: bytes, signature: bytes) -> ChaCha20Poly1305:
        said = _said(self._ask, base64.b64encode(ephemeral).decode())
        if not is_signed_by(self._sender, said, base64.b64encode(signature).decode()):
            raise BadRecord("its beginning is not signed by the site that is pinned")
        return _cipher(self._key, base64.b64encode(ephemeral).decode(), said)

    def _next(self, cipher: ChaCha20Poly1305) -> bytes | None:
        if self.is_complete or len(self._held) < _HEADER.size:
            return None
        header = bytes(self._held[: _HEADER.size])
        kind, length = _HEADER.unpack(header)
        if kind not in (_MORE, _LAST) or not _TAG_BYTES <= length <= RECORD_BYTES + _TAG_BYTES:
            raise BadRecord("a record's header was changed")
        if len(self._held) < _HEADER.size + length:
            return None
        self._taken(_HEADER.size)
        try:
            content = cipher.decrypt(_nonce(self._number), self._taken(length), header)
        except InvalidTag:
            raise BadRecord(f"record {self._number} was changed, moved or repeated") from None
        self._number += 1
        self.is_complete = kind == _LAST
        return content

    def _taken(self, length: int) -> bytes:
        taken = bytes(self._held[:length])
        del self._held[:length]
        return taken


def _said(ask: RelayAsk, sender_ephemeral: str) -> str:
    """Everything that both sides know was said before the first record; the sender signs it."""
    asked = fetch_text(ask.output, asked_part(ask.site, ask.offset, ask.ephemeral), proof_in(ask))
    return "\n".join(("datacanal relay 1", asked, ask.signature, sender_ephemeral))


def _cipher(own: X25519PrivateKey, other: str, said: str) -> ChaCha20Poly1305:
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(other, validate=True)))
    except ValueError:
        raise BadRecord("the other side's key for this fetch is none") from None
    salt = hashlib.sha256(said.encode()).digest()
    return ChaCha20Poly1305(HKDF(SHA256(), _KEY_BYTES, salt, b"datacanal relay records").derive(shared))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
