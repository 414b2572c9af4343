"""Webhooks of accounts: where notices go, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from datacanal.protocol.base import Document


class WebhookRequest(Document):
    url: str = Field(description="https, a public host, at most 2,000 characters", max_length=8192)


class WebhookSecret(Document):
    """`secret` is shown this once: notices are signed with it as Standard Webhooks 1.0 says."""

    url: str
    secret: str = Field(description="whsec_ and base64")


class NoticeView(Document):
    """A notice. A waiting one says by `problem` what kept its last attempt from being delivered."""

    id: str = Field(description="its webhook-id, the same in every attempt")
    type: str
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    created_at: datetime
    delivered_at: datetime | None = None
    problem: str | None = None


class WebhookView(Document):
    """`notices` are the last ones, the newest first."""

    url: str | None
    notices: list[NoticeView]
