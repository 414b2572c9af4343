"""A home with products for gateways to serve: rows of the state store and snapshots, written directly."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from sqlalchemy.orm import Session
from tests.subscribers import Subscribers, subscribers

from datacanal.configuration import GatewaySection
from datacanal.domain.product import VersionState
from datacanal.gateway.loading import Loader
from datacanal.gateway.service import running_gateway
from datacanal.gateway.watching import Views
from datacanal.ledger.store import open_ledger
from datacanal.products.manifest import Manifest
from datacanal.protocol.products import Contract, Sample
from datacanal.serving.runner import HttpServer, address_of, bind
from datacanal.state import DATABASE, MIGRATIONS, PLACE
from datacanal.state.models import JobRow, TokenRow
from datacanal.state.product_models import ChannelRow, ProductRow, RestatementRow, VersionRow
from datacanal.state.revisions import grow
from datacanal.state.tokens import digest_of
from datacanal.storage.databases import open_to_write
from datacanal.storage.places import EMBEDDED
from datacanal.storage.sqlite import open_database
from datacanal.testing.snapshots import write_snapshot

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
BARS = """SELECT printf('%06d.XSHE', s) AS sec_id, DATE '2024-01-01' + CAST(d AS INTEGER) AS trade_date,
    CAST(10 + s + d / 100 + {shift} AS DECIMAL(18, 4)) AS close, CAST(s * 1000000007 * (d + 1) AS BIGINT) AS volume,
    CASE WHEN d % 7 = 0 THEN NULL ELSE '平安银行 "' || s || '"' END AS name
    FROM range({securities}) AS a(s), range({sessions}) AS b(d)"""
KEY = ("sec_id", "trade_date")


def bars(securities: int = 20, sessions: int = 50, shift: int = 0) -> str:
    """Daily bars, as SQL; `shift` is added to every price."""
    return BARS.format(securities=securities, sessions=sessions, shift=shift)


class ProductHome:
    """The state store and the store of products of one service."""

    def __init__(self, folder: Path, database: str = EMBEDDED) -> None:
        self.home = folder / "home"
        self.database = database
        self.store = folder / "products"
        self.home.mkdir(mode=0o700, parents=True)
        if database == EMBEDDED:
            (self.home / DATABASE).write_bytes(_empty_store())
        self.engine = open_to_write(database, self.home, PLACE, begin="BEGIN IMMEDIATE")

    @cached_property
    def book(self) -> Subscribers:
        """Who may call, in the home's book."""
        return subscribers(open_ledger(self.home), self.home)

    def write(self, *rows: object) -> None:
        """Add the rows in one transaction that gateways are told of."""
        self.change(lambda session: session.add_all(rows))

    def change(self, work: Callable[[Session], object]) -> None:
        """Do the work in one transaction that gateways are told of."""
        with Session(self.engine) as session, session.begin():
            work(session)
            grow(session)

    def token(
        self, name: str, role: str = "developer", groups: Sequence[str] = (), tenant: str = "default", **more: Any
    ) -> str:
        """A new token's secret."""
        number = secrets.token_hex(6)
        secret = f"dct_{number}_{secrets.token_hex(32)}"
        row = {"id": f"tok_{number}", "tenant": tenant, "principal": "admin", "name": name, "role": role}
        ends = {"expires_at": None, "revoked_at": None, "used_at": None, **more}
        self.write(TokenRow(**row, groups=json.dumps(list(groups)), digest=digest_of(secret), created_at=EARLY, **ends))
        return secret

    def product(self, name: str, owner: str = "ann", tenant: str = "default", **more: Any) -> None:
        """A new product without a version."""
        fields = {
            "title": f"The product {name}",
            "description": "",
            "contract": Contract(key=list(KEY), session="trade_date"),
            "visibility": "internal",
            "readers": [],
            "sample": Sample(rows=5),
            **more,
        }
        row = {name: _stored(value) for name, value in fields.items()}
        self.write(
            ProductRow(tenant=tenant, name=name, principal=owner, keep=10, created_at=EARLY, retired_at=None, **row)
        )

    def version(
        self,
        product: str,
        minor: int,
        rows: str | pa.Table,
        *,
        key: Sequence[str] = KEY,
        session: str | None = "trade_date",
        tenant: str = "default",
        row_group_rows: int = 2048,
    ) -> str:
        """A staged version; its snapshot's id."""
        snapshot = f"snp_{hashlib.sha256(f'{tenant}/{product}/{minor}'.encode()).hexdigest()[:20]}"
        manifest = write_snapshot(
            self.store, product, rows, key, session, snapshot=snapshot, version=f"1.{minor}",
            row_group_rows=row_group_rows,
        )  # fmt: skip
        contract = Contract(key=list(key), session=session)
        self.staged(manifest, contract, tenant)
        return snapshot

    def staged(self, manifest: Manifest, contract: Contract, tenant: str = "default") -> None:
        """A version of a snapshot that is in the store."""
        major, minor = (int(part) for part in manifest.version.split("."))
        job = f"job_{manifest.snapshot}"
        self.write(_job(job, tenant))
        self.write(
            VersionRow(
                snapshot=manifest.snapshot, product=manifest.product, major=major, minor=minor,
                state=VersionState.STAGED, job_id=job, lineage="{}", contract=contract.model_dump_json(),
                manifest=manifest.model_dump_json(), report=None, problem=None, reason=None, created_at=EARLY,
                staged_at=EARLY, ended_at=None, tenant=tenant, principal="ann",
            )
        )  # fmt: skip

    def point(
        self, product: str, snapshot: str | None, channel: str = "stable", at: datetime = EARLY, **more: Any
    ) -> None:
        """Move a channel; the version that it leaves is superseded."""
        share, labels, tenant = more.get("share", 0.0), more.get("labels", []), more.get("tenant", "default")

        def move(session: Session) -> None:
            if snapshot is not None:
                session.get_one(VersionRow, snapshot).state = VersionState(channel)
            session.add(
                ChannelRow(
                    product=product, channel=channel, snapshot=snapshot, share=share, labels=json.dumps(labels),
                    reason=None, at=at, tenant=tenant, principal="ann",
                )
            )  # fmt: skip

        self.change(move)

    def set_state(self, snapshot: str, state: VersionState) -> None:
        """Put a version into a state, whatever it was."""
        self.change(lambda session: setattr(session.get_one(VersionRow, snapshot), "state", state))

    def restate(self, product: str, old: str, new: str, sessions: Sequence[str]) -> None:
        """Announce that the values of these sessions changed."""
        self.write(
            RestatementRow(
                product=product, old_snapshot=old, new_snapshot=new, sessions=json.dumps(list(sessions)), keys=1,
                rows=1, reason="corrected at the source", at=EARLY, tenant="default", principal="ann",
            )
        )  # fmt: skip

    def stable(self, product: str, rows: str | pa.Table | None = None, **more: Any) -> str:
        """A product with one stable version of these rows; the snapshot's id."""
        self.product(product, **more)
        snapshot = self.version(product, 0, bars() if rows is None else rows)
        self.point(product, snapshot)
        return snapshot


@dataclass
class Running:
    """A gateway that answers on loopback."""

    url: str
    views: Views

    def client(self, token: str | None, **more: Any) -> httpx.AsyncClient:
        """A client that carries the token; the caller closes it."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False, **more)

    async def newest(self, home: ProductHome) -> None:
        """Wait until the gateway has seen what was written."""
        number = Loader(home.engine).number()
        async with self.client(None) as client:
            while (await client.get("/health")).json()["revision"] != number:
                pass


@asynccontextmanager
async def serving(
    home: ProductHome, now: Callable[[], datetime] = lambda: datetime.now(UTC), **section: Any
) -> AsyncIterator[Running]:
    """A gateway over the home, in this process."""
    views = Views(home.home, home.database)
    assert views.open()
    settings = GatewaySection.model_validate({"store": home.store, "listen": "127.0.0.1:0", **section})
    listening = bind(settings.listen, key="gateway.listen")
    async with running_gateway(home.home, settings, views, now) as gateway:
        server = HttpServer(gateway, listening)
        await server.start()
        try:
            yield Running(f"http://{address_of(listening)}", views)
        finally:
            await server.stop()


@cache
def _empty_store() -> bytes:
    """A store without a row: made once, as its migrations take a while."""
    with tempfile.TemporaryDirectory() as folder:
        open_database(Path(folder) / DATABASE, MIGRATIONS, begin="BEGIN IMMEDIATE").dispose()
        return (Path(folder) / DATABASE).read_bytes()


def _stored(value: Any) -> Any:
    if isinstance(value, Contract | Sample):
        return value.model_dump_json()
    return json.dumps(value) if isinstance(value, list) else value


def _job(job: str, tenant: str) -> JobRow:
    return JobRow(
        id=job, tenant=tenant, principal="ann", role="publisher", groups="[]", kind="sql", sql="SELECT 1", python=None,
        params="{}", purpose=None, idempotency_key=None, request_digest="", retry_of=None, state="succeeded",
        problem=None, waits=None, plan=None, result_step=None, result_expires_at=None, queue_timeout_s=1,
        run_timeout_s=1, total_timeout_s=1, submitted_at=EARLY, started_at=None, planned_at=None, finished_at=EARLY,
        queue_until=0, run_until=None, total_until=0, cancel_until=None,
    )  # fmt: skip
