"""The control plane's word for its users: the issuer signs who submitted what, and every site verifies it itself."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.domain.access import Principal
from datacanal.homes import write_secret
from datacanal.protocol.authority import Authority, authority_body
from datacanal.protocol.plan import Plan
from datacanal.state.models import JobRow

_SEED_BYTES = 32
_COMMAND_S = 600


@dataclass(frozen=True, repr=False)
class Issuer:
    """Signs authorities. Sites pin `public` when they join; the key itself never leaves this object."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The public key, base64."""
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def signed(self, authority: Authority) -> str:
        """The authority in its text form."""
        body = authority_body(authority)
        return f"{body}.{base64.urlsafe_b64encode(self.key.sign(body.encode())).decode()}"


def load_issuer(home: Path, randomness: Callable[[int], bytes]) -> Issuer:
    """The issuer of this control plane, its key made on first use. The caller holds the home's lock."""
    file = home / "issuer.key"
    if not file.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(file, randomness(_SEED_BYTES))
    return Issuer(Ed25519PrivateKey.from_private_bytes(file.read_bytes()))


def job_authority(job: JobRow, plan_digest: str, audience: str, result_expiry_s: float) -> Authority:
    """The submitter's word to that site about a planned job: the same whenever it is asked for.

    It holds for as long as the job may run and its result be kept.
    """
    issued_s = int((job.planned_at or job.submitted_at).timestamp())
    return Authority(
        job=job.id,
        tenant=job.tenant,
        principal=job.principal,
        role=job.role,
        groups=json.loads(job.groups),
        purpose=job.purpose,
        statement=_statement(job),
        plan=plan_digest,
        audience=audience,
        issued_s=issued_s,
        expires_s=issued_s + math.ceil(job.total_timeout_s + result_expiry_s),
    )


def _statement(job: JobRow) -> str:
    if job.kind == "python":
        return job.request_digest
    return hashlib.sha256(job.sql.encode()).hexdigest()


def caller_authority(job: JobRow, caller: Principal, audience: str, now: datetime) -> Authority:
    """The word of whoever asks that site now for something that it keeps for the job; it holds for a few minutes."""
    issued_s = int(now.timestamp())
    return Authority(
        job=job.id,
        tenant=caller.tenant,
        principal=caller.name,
        role=caller.role,
        groups=list(caller.groups),
        purpose=job.purpose,
        statement=_statement(job),
        plan=Plan.model_validate_json(job.plan).digest if job.plan else "",
        audience=audience,
        issued_s=issued_s,
        expires_s=issued_s + _COMMAND_S,
    )
