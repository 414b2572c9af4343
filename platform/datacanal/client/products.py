"""Products as their publishers manage them: `Client.products`."""

from __future__ import annotations

from urllib.parse import quote

from datacanal.client.connection import Connection
from datacanal.protocol.products import (
    ProductList,
    ProductRequest,
    ProductSummary,
    ProductUpdate,
    ProductView,
    PromoteRequest,
    PublishRequest,
    RetireRequest,
    RollbackRequest,
    VersionDiff,
    VersionList,
    VersionView,
)

_LONG_POLL_S = 20.0


class ManagedProducts:
    """Every method is one call; it raises the service's problem as an error of the tree."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, request: ProductRequest) -> ProductView:
        """A new product, without a version yet."""
        return self._connection.post(ProductView, "/v1/products", request, repeatable=False)

    def update(self, name: str, changes: ProductUpdate) -> ProductView:
        """Change what is given; a contract holds from the next version on."""
        return self._connection.patch(ProductView, _path(name), changes)

    def list_all(self) -> list[ProductSummary]:
        """The products that the caller may know of."""
        return self._connection.get(ProductList, "/v1/products").products

    def show(self, name: str) -> ProductView:
        """One product."""
        return self._connection.get(ProductView, _path(name))

    def publish(self, name: str, request: PublishRequest) -> VersionView:
        """Begin a version of a job's result; the same job again is the same version."""
        return self._connection.post(VersionView, f"{_path(name)}/versions", request)

    def version(self, name: str, number: str, *, wait_s: float = 0.0) -> VersionView:
        """A version; with `wait_s` as soon as it is no draft any more, at the latest after that time."""
        query = {"wait_s": f"{min(wait_s, _LONG_POLL_S):.3f}"} if wait_s > 0 else None
        return self._connection.get(VersionView, f"{_path(name)}/versions/{quote(number, safe='')}", query)

    def versions(self, name: str) -> list[VersionView]:
        """Every version, the newest first."""
        return self._connection.get(VersionList, f"{_path(name)}/versions").versions

    def promote(self, name: str, request: PromoteRequest) -> VersionView:
        """Let a version be the canary, or stable."""
        return self._connection.post(VersionView, f"{_path(name)}/promote", request, repeatable=False)

    def rollback(self, name: str, request: RollbackRequest) -> VersionView:
        """Let readers have an earlier version again."""
        return self._connection.post(VersionView, f"{_path(name)}/rollback", request, repeatable=False)

    def retire(self, name: str, request: RetireRequest) -> ProductView:
        """End a version, or the product."""
        return self._connection.post(ProductView, f"{_path(name)}/retire", request, repeatable=False)

    def diff(self, name: str, old: str, new: str) -> VersionDiff:
        """What differs between two versions."""
        return self._connection.get(VersionDiff, f"{_path(name)}/diff", {"old": old, "new": new})


def _path(name: str) -> str:
    return f"/v1/products/{quote(name, safe='')}"
