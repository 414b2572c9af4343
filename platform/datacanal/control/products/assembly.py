"""The parts that make and release products, put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datacanal.control.desk import Desk
from datacanal.control.products.catalogue import ProductCatalogue
from datacanal.control.products.consents import OwnersAtSites
from datacanal.control.products.fetching import RelayedResults
from datacanal.control.products.ports import Workshop
from datacanal.control.products.publishing import Progress, Publisher
from datacanal.control.products.releases import RecentQueries, ReleaseTrain
from datacanal.control.products.shelves import Shelves
from datacanal.control.products.versions import VersionBook


@dataclass(frozen=True)
class ProductPlaces:
    """`store` holds snapshots, `staging` results on their way into one; `recent` knows what readers asked last."""

    store: Path
    staging: Path
    workshop: Workshop
    recent: RecentQueries


@dataclass(frozen=True)
class Products:
    """What the routes use, and the two parts that run beside them."""

    catalogue: ProductCatalogue
    versions: VersionBook
    train: ReleaseTrain
    owners: OwnersAtSites
    publisher: Publisher
    shelves: Shelves


def build_products(desk: Desk, places: ProductPlaces, owners: OwnersAtSites, results: RelayedResults) -> Products:
    """Put the parts together over the desk."""
    progress = Progress()
    versions = VersionBook(desk, places.store, places.workshop, progress.of)
    train = ReleaseTrain(desk, versions, places.workshop, places.recent)
    publisher = Publisher(desk, places.store, places.staging, owners, results, places.workshop, train, progress)
    return Products(ProductCatalogue(desk), versions, train, owners, publisher, Shelves(desk, places.store))
