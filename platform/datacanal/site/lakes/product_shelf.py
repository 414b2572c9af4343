"""The lake of data products: what it has is not what lies there but what the control plane says is stable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from datacanal.protocol.site import SharedProduct, SharedProducts
from datacanal.site.engine.etag import etag_of
from datacanal.site.lakes.scan import ListedFile, ListedFolder, Listing
from datacanal.site.policy.model import DatasetPolicy, Policy, is_principal

_FILE = "by_key.parquet"


class ProductShelf:
    """Lists the stable snapshot of each product under its name. Safe to call from several threads."""

    def __init__(self) -> None:
        self._shared: dict[str, SharedProduct] = {}
        self._lock = threading.Lock()

    def list(self, root: Path) -> Listing:
        """Every product that is shared, with the one file of its snapshot. Raises `OSError` as `list_lake` does."""
        with self._lock:
            shared = list(self._shared.values())
        return {product.name: _listed(root, product) for product in shared}

    def take(
        self, told: SharedProducts, put_in_force: Callable[[Policy], object], relist: Callable[[], object]
    ) -> bool:
        """Share those and no others; True where anything changes.

        At no moment is a product listed that the policy in force says nothing of: such a one would be everybody's.
        """
        wanted = {product.name: product for product in told.products}
        with self._lock:
            if wanted == self._shared:
                return False
            kept = {name: product for name, product in self._shared.items() if name in wanted}
            self._shared = kept
        relist()
        put_in_force(policy_of(told.products))
        with self._lock:
            self._shared = wanted
        relist()
        return True


def policy_of(products: Iterable[SharedProduct]) -> Policy:
    """The policy of the lake: every column is public, to those whom each product's publisher names.

    Whoever may read a product may not sell it on: a steward agrees to what is published of it.
    """
    datasets = {
        product.name: DatasetPolicy(key=product.key, readers=_readers(product), publish="approval")
        for product in products
    }
    return Policy(default_class="public", datasets=datasets)


def _readers(product: SharedProduct) -> list[str] | None:
    """A name that no policy can say (it begins with a space, say) must not keep the others from being said."""
    return None if product.readers is None else [reader for reader in product.readers if is_principal(reader)]


def _listed(root: Path, product: SharedProduct) -> ListedFolder:
    path = f"{product.name}/{product.snapshot}/{_FILE}"
    try:
        found = (root / path).stat()
    except OSError as error:
        return ListedFolder(problem=f"snapshot {product.snapshot}: {error.strerror}", snapshot=product.snapshot)
    file = ListedFile(path=path, size_bytes=found.st_size, etag=etag_of(found))
    return ListedFolder((file,), snapshot=product.snapshot)
