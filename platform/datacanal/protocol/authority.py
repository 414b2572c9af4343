"""The submitter's word to a site: who asks, for what purpose, with which statement. Each site verifies it itself.

Text form: base64url(document) "." base64url(Ed25519 signature of the first part), by the issuer whose key the site
pinned when it joined.
"""

from __future__ import annotations

import base64

from pydantic import Field

from datacanal.protocol.base import Document


class Authority(Document):
    """One job at one site (`audience`). `plan` is the digest of the plan that the statement became."""

    job: str
    tenant: str
    principal: str
    role: str
    groups: list[str]
    purpose: str | None
    statement: str = Field(description="sha256 (hex) of the statement's text, or of the function's request")
    plan: str
    audience: str
    issued_s: int
    expires_s: int


def authority_body(authority: Authority) -> str:
    """The first part of the text form: what the issuer signs."""
    return base64.urlsafe_b64encode(authority.model_dump_json().encode()).decode()


def read_body(body: str) -> Authority:
    """The document of a text's first part. Raises `ValueError` where it is none."""
    return Authority.model_validate_json(base64.b64decode(body, altchars=b"-_", validate=True))
