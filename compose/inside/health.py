"""Health checks: `control` answers its users, `site NAME` has joined and answers others, `launcher NAME` its site."""

from __future__ import annotations

import socket
import ssl
import sys
import urllib.request

_WITHIN_S = 5.0


def control() -> None:
    """The public door, under the certificate that it made."""
    context = ssl.create_default_context(cafile="/var/lib/datacanal/control.pem")
    with urllib.request.urlopen("https://127.0.0.1:8400/v1/health", timeout=_WITHIN_S, context=context):
        pass


def site(name: str) -> None:
    """Its exchange shakes hands only after the site has joined; whom it trusts is not asked here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((f"{name}.exchange", 8410), _WITHIN_S) as plain, context.wrap_socket(plain):
        pass


def launcher(name: str) -> None:
    """Its socket for the site is listened to."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(_WITHIN_S)
        door.connect(f"/var/lib/datacanal/launcher/{name}.sock")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["site", name]:
            site(name)
        case ["launcher", name]:
            launcher(name)
        case _:
            control()
