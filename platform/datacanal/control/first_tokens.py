"""The tokens that a first start leaves on the machine: one for its administrator, one for each site to join with."""

from __future__ import annotations

from pathlib import Path

import structlog

from datacanal.certificates import fingerprint_in
from datacanal.configuration import Configuration
from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.joining import SiteBook
from datacanal.control.tokens import TENANT, live_tokens, new_token, secret_is_of
from datacanal.domain.access import Principal
from datacanal.homes import SITE_CERTIFICATE, SITE_MEMBERSHIP, SITE_TOKEN, write_secret
from datacanal.protocol.public import Role, TokenRequest
from datacanal.state.revisions import grow

_SYSTEM = Principal(tenant=TENANT, name="system", role="admin")
_log = structlog.get_logger()


def ensure_first_tokens(desk: Desk, configuration: Configuration, members: SiteBook, door: str) -> None:
    """Make sure that each token file holds a token that works; a file that does is left alone.

    A site that joined needs none, unless its home on this machine is not the one that joined.
    """
    configuration.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ensure_token(desk, configuration.home / "admin.token", "admin", "admin", door)
    for site in configuration.sites:
        home = configuration.site_home(site.name)
        if _has_joined(members, home, site.name):
            continue
        try:
            _ensure_private(home)
            _ensure_token(desk, home / SITE_TOKEN, "site", site.name, door)
        except PermissionError as error:  # its home belongs to another user, who brings a token of their own
            _log.warning("site_token_not_written", site=site.name, reason=error.strerror)


def _has_joined(members: SiteBook, home: Path, site: str) -> bool:
    try:
        fingerprint = fingerprint_in((home / SITE_CERTIFICATE).read_bytes())
    except (OSError, ValueError):
        return members.has_joined(TENANT, site)
    return members.is_member(TENANT, site, fingerprint) and (home / SITE_MEMBERSHIP).is_file()


def _ensure_token(desk: Desk, file: Path, role: Role, name: str, door: str) -> None:
    def ensure(change: Change) -> None:
        known = live_tokens(change.session, role, name, change.clock.now())
        if not secret_is_of(_read(file), known):
            row, secret = new_token(change.clock, _SYSTEM, TokenRequest(name=name, role=role), door)
            change.session.add(row)
            grow(change.session)
            write_secret(file, f"{secret}\n".encode("ascii"))

    desk.write_now(ensure)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _ensure_private(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
