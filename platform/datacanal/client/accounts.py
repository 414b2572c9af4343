"""What a developer has at a gateway: `Client.accounts`, `Client.subscriptions` and `Client.keys`."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from datacanal.client.connection import Connection
from datacanal.client.requests import checked
from datacanal.protocol.accounts import (
    AccountList,
    AccountRequest,
    AccountUpdate,
    AccountView,
    Approval,
    KeyList,
    KeyRequest,
    KeyView,
    NewApiKey,
    Refusal,
    Rotation,
    SubscriptionList,
    SubscriptionRequest,
    SubscriptionView,
)


class Accounts:
    """Every method is one call, lists one for each page; it raises the gateway's problem as an error of the tree."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str) -> AccountView:
        """The caller's account; one that was closed is open again."""
        request = checked(AccountRequest, name=name)
        return self._connection.post(AccountView, "/v1/accounts", request, repeatable=False)

    def list_all(self) -> list[AccountView]:
        """The caller's account; an administrator's tenant's all."""
        found: list[AccountView] = []
        path: str | None = "/v1/accounts"
        while path is not None:
            part = self._connection.get(AccountList, path)
            found += part.accounts
            path = part.page.next
        return found

    def rename(self, account: str, name: str) -> AccountView:
        """Call it something else."""
        return self._connection.patch(AccountView, _path("accounts", account), checked(AccountUpdate, name=name))

    def close(self, account: str) -> AccountView:
        """End its subscriptions and keys, now."""
        return self._connection.post(AccountView, f"{_path('accounts', account)}/close", None)


class Subscriptions:
    """As `Accounts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self, product: str, *, tariff: str | None = None, purpose: str = "", account: str | None = None
    ) -> SubscriptionView:
        """Ask for a product; `state` is `active`, or `pending` while its publisher is asked."""
        request = checked(SubscriptionRequest, product=product, tariff=tariff, purpose=purpose, account=account)
        return self._connection.post(SubscriptionView, "/v1/subscriptions", request, repeatable=False)

    def list_all(self, *, product: str | None = None, state: str | None = None) -> list[SubscriptionView]:
        """The caller's, and those to the products that the caller publishes; the newest first."""
        found: list[SubscriptionView] = []
        path: str | None = _filtered("/v1/subscriptions", product=product, state=state)
        while path is not None:
            part = self._connection.get(SubscriptionList, path)
            found += part.subscriptions
            path = part.page.next
        return found

    def show(self, subscription: str) -> SubscriptionView:
        """One subscription."""
        return self._connection.get(SubscriptionView, _path("subscriptions", subscription))

    def approve(self, subscription: str, approval: Approval) -> SubscriptionView:
        """Let it begin, as the product's publisher."""
        path = f"{_path('subscriptions', subscription)}/approve"
        return self._connection.post(SubscriptionView, path, approval, repeatable=False)

    def refuse(self, subscription: str, reason: str) -> SubscriptionView:
        """Refuse it, as the product's publisher."""
        path = f"{_path('subscriptions', subscription)}/refuse"
        return self._connection.post(SubscriptionView, path, checked(Refusal, reason=reason), repeatable=False)

    def end(self, subscription: str) -> SubscriptionView:
        """End it and its keys, now."""
        return self._connection.post(SubscriptionView, f"{_path('subscriptions', subscription)}/end", None)


class Keys:
    """As `Accounts`. A key's secret is in the answer that it is made by, and nowhere else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        subscription: str,
        *,
        name: str = "",
        mode: str = "live",
        scopes: tuple[str, ...] = ("data", "sample"),
        expires: datetime | None = None,
    ) -> NewApiKey:
        """A new key of a subscription."""
        request = checked(
            KeyRequest, subscription=subscription, name=name, mode=mode, scopes=list(scopes), expires=expires
        )
        return self._connection.post(NewApiKey, "/v1/keys", request, repeatable=False)

    def list_all(self, *, subscription: str | None = None) -> list[KeyView]:
        """The keys of the caller's account, or of one of its subscriptions."""
        found: list[KeyView] = []
        path: str | None = _filtered("/v1/keys", subscription=subscription)
        while path is not None:
            part = self._connection.get(KeyList, path)
            found += part.keys
            path = part.page.next
        return found

    def rotate(self, key: str, *, overlap_s: int | None = None, expires: datetime | None = None) -> NewApiKey:
        """A new key like this one, which holds for `overlap_s` more (a day where none is given)."""
        given = {} if overlap_s is None else {"overlap_s": overlap_s}
        rotation = checked(Rotation, expires=expires, **given)
        return self._connection.post(NewApiKey, f"{_path('keys', key)}/rotate", rotation, repeatable=False)

    def revoke(self, key: str) -> None:
        """From now on nobody can use it."""
        self._connection.call("DELETE", _path("keys", key))


def _path(kind: str, number: str) -> str:
    return f"/v1/{kind}/{quote(number, safe='')}"


def _filtered(path: str, **given: str | None) -> str:
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return f"{path}?{query}" if query else path
