"""The pool's certificates: mutual TLS works with them and not without."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datacanal.site.fleet.tls import make_certificates

NOW = datetime.now(UTC)


def context(directory: Path, purpose: ssl.Purpose, *, shown: bool = True) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cafile=str(directory / "ca.pem"))
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    if shown:
        made.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    """What the client reads; raises what its side of TLS raises."""
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as wrapped:
                wrapped.sendall(b"hello")
        except OSError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right) as wrapped:
            return wrapped.recv(5)
    finally:
        right.close()
        thread.join()


def test_members_of_a_pool_trust_each_other(tmp_path: Path) -> None:
    make_certificates(tmp_path, NOW)
    server = context(tmp_path, ssl.Purpose.CLIENT_AUTH)
    assert handshake(server, context(tmp_path, ssl.Purpose.SERVER_AUTH)) == b"hello"


def test_who_shows_no_certificate_or_another_pools_is_refused(tmp_path: Path) -> None:
    make_certificates(tmp_path / "a", NOW)
    make_certificates(tmp_path / "b", NOW)
    server = context(tmp_path / "a", ssl.Purpose.CLIENT_AUTH)
    with pytest.raises(OSError, match=r"."):
        handshake(server, context(tmp_path / "a", ssl.Purpose.SERVER_AUTH, shown=False))
    with pytest.raises(ssl.SSLError):
        handshake(server, context(tmp_path / "b", ssl.Purpose.SERVER_AUTH))


def test_only_this_user_reads_the_files_and_the_authoritys_key_is_nowhere(tmp_path: Path) -> None:
    make_certificates(tmp_path / "tls", NOW)
    make_certificates(tmp_path / "tls", NOW)
    files = sorted((tmp_path / "tls").iterdir())
    assert [file.name for file in files] == ["ca.pem", "cert.pem", "key.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
