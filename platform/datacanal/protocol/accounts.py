"""What developers manage: accounts, subscriptions to products, and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from datacanal.protocol.base import Document
from datacanal.protocol.money import TariffBurst, TariffQuota, Unit
from datacanal.protocol.products import ProductName

LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*$"
TITLE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
AccountName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=TITLE_PATTERN)]
Scope = Literal["data", "sample", "account"]
Mode = Literal["live", "test"]
SubscriptionState = Literal["pending", "active", "refused", "ended"]

OVERLAP_S = 86_400
MOST_OVERLAP_S = 30 * 86_400


class Page(Document):
    next: str | None = Field(description="the address of the next page")


class AccountRequest(Document):
    name: AccountName


class AccountUpdate(Document):
    """What is given is changed."""

    name: AccountName | None = None


class AccountView(Document):
    id: str
    name: str
    principal: str = Field(description="whose it is")
    created_at: datetime
    closed_at: datetime | None


class AccountList(Document):
    accounts: list[AccountView]
    page: Page


class SubscriptionRequest(Document):
    """`account` is an administrator's to say; else it is the caller's own, made where there is none."""

    product: ProductName
    tariff: Id | None = Field(default=None, description="its name; needed where the product is offered under several")
    purpose: str = Field(default="", max_length=2000, description="what for; its publisher reads it")
    account: Id | None = None


class Approval(Document):
    """What is not given stays as the tariff has it."""

    quotas: list[TariffQuota] | None = Field(default=None, max_length=12)
    burst: TariffBurst | None = None

    @model_validator(mode="after")
    def _quotas_differ(self) -> Self:
        named = [(quota.dimension, quota.period) for quota in self.quotas or []]
        if len(set(named)) < len(named):
            raise ValueError("quotas: only one of a dimension and period")
        return self


class Refusal(Document):
    reason: str = Field(min_length=1, max_length=1000, description="the developer reads it")


class SubscriptionView(Document):
    id: str
    account: str
    product: str
    tariff: str | None = Field(description="the tariff's id")
    state: SubscriptionState
    principal: str = Field(description="who asked for it")
    purpose: str
    unit: Unit
    quotas: list[TariffQuota]
    burst: TariffBurst | None
    reason: str | None = Field(description="why it was refused")
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    ended_at: datetime | None


class SubscriptionList(Document):
    subscriptions: list[SubscriptionView]
    page: Page


class KeyRequest(Document):
    """`data` is for rows, `sample` for the sample, `account` for reading what the account used and pays."""

    subscription: Id
    name: str = Field(default="", max_length=128, pattern=LINE_PATTERN)
    mode: Mode = "live"
    scopes: list[Scope] = Field(default=["data", "sample"], min_length=1, max_length=3)
    expires: datetime | None = Field(default=None, description="with a time zone")


class Rotation(Document):
    """The old key holds for `overlap_s` more. Without `expires` the new one is given as long as the old one was."""

    overlap_s: int = Field(default=OVERLAP_S, ge=0, le=MOST_OVERLAP_S)
    expires: datetime | None = Field(default=None, description="with a time zone")


class KeyView(Document):
    id: str
    subscription: str
    product: str
    name: str
    mode: Mode
    scopes: list[Scope]
    last_four: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeyList(Document):
    keys: list[KeyView]
    page: Page


class NewApiKey(Document):
    """`secret` is shown this once."""

    key: KeyView
    secret: str


class SignedIn(Document):
    """`token` is sent as `Authorization: Bearer …` to the gateway that gave it."""

    token: str
    expires_at: datetime
    account: AccountView


class Exchange(Document):
    """The one-time code of a sign-in, and what its challenge was made of."""

    code: str = Field(max_length=4096)
    verifier: str = Field(min_length=43, max_length=128, pattern="^[A-Za-z0-9._~-]+$")
