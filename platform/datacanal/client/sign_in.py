"""Sign in by a browser, and keep the token that comes of it for the gateway that gave it."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from datacanal.client.connection import Connection
from datacanal.domain.metering_errors import SignInRefused
from datacanal.homes import write_secret
from datacanal.protocol.accounts import Exchange, SignedIn

WITHIN_S = 300.0
_PATH = "/v1/sign-in"
_PLACE = "/signed-in"
_SAID = "<!doctype html><meta charset=utf-8><title>Datacanal</title><p>You are signed in. You can close this page."


def sign_in(connection: Connection, show: Callable[[str], None], within_s: float = WITHIN_S) -> SignedIn:
    """Wait until somebody signed in at the address that is shown. Raises the gateway's problem, `SignInRefused`."""
    connection.call("GET", _PATH)  # whether the gateway does this at all is known before anybody is sent anywhere
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    with _waiting() as (port, codes):
        asked = {"return_to": f"http://127.0.0.1:{port}{_PLACE}", "challenge": challenge}
        show(f"{connection.url}{_PATH}?{urlencode(asked)}")
        try:
            code = codes.get(timeout=within_s)
        except queue.Empty:
            raise SignInRefused(reason=f"nobody signed in within {within_s:.0f} s") from None
    return connection.post(SignedIn, f"{_PATH}/exchange", Exchange(code=code, verifier=verifier), repeatable=False)


def keep(signed_in: SignedIn, gateway: str, environment: Mapping[str, str]) -> Path:
    """Write the token where `kept_token` finds it; only its owner can read it."""
    file = _file(environment)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {"token": signed_in.token, "expires_at": signed_in.expires_at.isoformat()}
    write_secret(file, json.dumps({**_kept(file), gateway: kept}, indent=2).encode())
    return file


def kept_token(gateway: str, environment: Mapping[str, str], now: datetime) -> str | None:
    """The token of a sign-in at that gateway, while it holds. It is never sent anywhere else."""
    kept = _kept(_file(environment)).get(gateway)
    try:
        return str(kept["token"]) if kept and datetime.fromisoformat(kept["expires_at"]) > now else None
    except (KeyError, TypeError, ValueError):
        return None


def _file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "datacanal" / "sign-in.json"


def _kept(file: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _waiting() -> Iterator[tuple[int, queue.Queue[str]]]:
    """A port of this machine that the browser is sent back to, and what it brings."""
    codes: queue.Queue[str] = queue.Queue()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            parts = urlsplit(self.path)
            code = parse_qs(parts.query).get("code")
            found = parts.path == _PLACE and code is not None
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(_SAID.encode() if found else b"")
            if code and found:
                codes.put(code[0])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            """Nothing: the address has the code."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, name="sign-in", daemon=True)
    thread.start()
    try:
        yield server.server_address[1], codes
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
