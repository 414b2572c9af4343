"""The products themselves: making one, changing what it is, looking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.products.rows import living, seen, sees
from datacanal.control.products.views import product_summary, product_view
from datacanal.domain.access import Principal, owns_product
from datacanal.domain.errors import BadField
from datacanal.domain.product import publisher_of
from datacanal.domain.product_errors import BadContract, NamespaceTaken, ProductExists
from datacanal.products.contracts import check_contract
from datacanal.protocol.products import (
    Contract,
    ProductList,
    ProductRequest,
    ProductUpdate,
    ProductView,
)
from datacanal.state.product_models import ProductRow
from datacanal.state.revisions import grow


class ProductCatalogue:
    """Every method acts for a principal."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create(self, publisher: Principal, request: ProductRequest) -> ProductView:
        """A product without a version. The part of its name before the dot is its first maker's from then on.

        Raises `ProductExists`, `NamespaceTaken`, `BadContract`.
        """
        contract = await asyncio.to_thread(_checked, request.contract, self._desk.clock.now().date())

        def make(change: Change) -> ProductView:
            _check_free(change.session, publisher, request.name)
            row = _row(change, publisher, request, contract)
            change.session.add(row)
            change.session.flush()
            grow(change.session)
            return product_view(change.session, row)

        return await self._desk.write(make)

    async def update(self, publisher: Principal, name: str, update: ProductUpdate) -> ProductView:
        """Change what is given. Raises `NotFound`, `ProductRetired`, `BadContract`."""
        contract = update.contract and await asyncio.to_thread(_checked, update.contract, self._desk.clock.now().date())

        def change_it(change: Change) -> ProductView:
            row = living(change.session, publisher, name)
            _apply(row, update, contract)
            grow(change.session)
            return product_view(change.session, row)

        return await self._desk.write(change_it)

    async def show(self, reader: Principal, name: str) -> ProductView:
        """Its readers are told to who manages it only. Raises `NotFound`, also for what the reader may not see."""

        def look(session: Session) -> ProductView:
            row = seen(session, reader, name)
            view = product_view(session, row)
            is_its_own = owns_product(reader, row.tenant, row.principal)
            return view if is_its_own else view.model_copy(update={"readers": []})

        return await self._desk.read(look)

    async def list_all(self, reader: Principal) -> ProductList:
        """What the reader may see, by name."""

        def look(session: Session) -> ProductList:
            of_tenant = select(ProductRow).where(ProductRow.tenant == reader.tenant).order_by(ProductRow.name)
            found = [row for row in session.scalars(of_tenant) if sees(reader, row)]
            return ProductList(products=[product_summary(session, row) for row in found])

        return await self._desk.read(look)


def _check_free(session: Session, publisher: Principal, name: str) -> None:
    of_tenant = select(ProductRow).where(ProductRow.tenant == publisher.tenant).order_by(ProductRow.created_at)
    beside = [row for row in session.scalars(of_tenant) if publisher_of(row.name) == publisher_of(name)]
    if beside and publisher.role != "admin" and beside[0].principal != publisher.name:
        raise NamespaceTaken(publisher=publisher_of(name), owner=repr(beside[0].principal))
    if any(row.name == name for row in beside):
        raise ProductExists(name=name)


def _row(change: Change, publisher: Principal, request: ProductRequest, contract: Contract) -> ProductRow:
    return ProductRow(
        tenant=publisher.tenant,
        principal=publisher.name,
        name=request.name,
        title=request.title,
        description=request.description,
        contract=contract.model_dump_json(),
        visibility=request.visibility,
        readers=json.dumps(request.readers, ensure_ascii=False),
        sample=request.sample.model_dump_json(),
        keep=request.keep,
        created_at=change.clock.now(),
        retired_at=None,
    )


def _apply(row: ProductRow, update: ProductUpdate, contract: Contract | None) -> None:
    row.title = row.title if update.title is None else update.title
    row.description = row.description if update.description is None else update.description
    row.contract = row.contract if contract is None else contract.model_dump_json()
    row.visibility = row.visibility if update.visibility is None else update.visibility
    row.readers = row.readers if update.readers is None else json.dumps(update.readers, ensure_ascii=False)
    row.sample = row.sample if update.sample is None else update.sample.model_dump_json()
    row.keep = row.keep if update.keep is None else update.keep


def check_columns(contract: Contract, columns: Sequence[str], field: str) -> None:
    """Raise `BadField` unless every column that the contract speaks of is among them."""
    spoken = [*contract.key, *contract.not_null, *([contract.session] if contract.session else [])]
    missing = [name for name in dict.fromkeys(spoken) if name not in columns]
    if missing:
        reason = f"there is no column {missing[0]!r}, which the contract speaks of; there are {', '.join(columns)}"
        raise BadField(field=field, reason=reason)


def _checked(contract: Contract, today: date) -> Contract:
    """The contract in its normal form. Its document is right; what it says may still be impossible."""
    try:
        return check_contract(contract, today)
    except BadField as error:
        raise BadContract(**error.data) from None
