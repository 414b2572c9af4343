"""A data product: pages of one snapshot in Arrow, each of them fetched once for as long as it does not change."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa

from datacanal.client.connection import Connection
from datacanal.client.product_filters import Names, parameters
from datacanal.domain.errors import BadField, ResultDamaged

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Pairs = list[tuple[str, str]]
"""Parameters as an address has them."""
ARROW = "application/vnd.apache.arrow.stream"
MOST_PAGE_ROWS = 1_000_000
_PAGE_ROWS = 100_000
_KEPT_BYTES = 64 * 2**20
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
_ROWS = re.compile(r"\brows=(\d+)")
_TEXT_ROWS = 10_000
_END = b"datacanal.end"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True)
class Page:
    """Rows of a snapshot; `next` is the address of the page after it, `receipt` that of the call that fetched it."""

    rows: pa.Table
    next: str | None
    snapshot: str
    etag: str
    receipt: str


class PageMemory:
    """The pages that were fetched last, up to 64 MiB: one that is asked again is only asked whether it still holds."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pages: OrderedDict[str, Page] = OrderedDict()

    def find(self, address: str) -> Page | None:
        if address in self._pages:
            self._pages.move_to_end(address)
        return self._pages.get(address)

    def keep(self, address: str, page: Page) -> None:
        self._pages[address] = page
        self._pages.move_to_end(address)
        while self._pages and sum(each.rows.nbytes for each in self._pages.values()) > self._most_bytes:
            self._pages.popitem(last=False)


class Product:
    """A product of a gateway as one caller sees it. See `Client.product`."""

    def __init__(self, connection: Connection, memory: PageMemory, name: str, version: Mapping[str, str]) -> None:
        self.name = name
        self._connection = connection
        self._memory = memory
        self._version = dict(version)

    def __repr__(self) -> str:
        return f"<Product {self.name} {' '.join(self._version.values())}>".replace(" >", ">")

    def describe(self) -> dict[str, Any]:
        """What its publisher says of it: title, documentation, contract, channels."""
        return self._document("")

    def schema(self) -> dict[str, Any]:
        """Its columns with their types, its key, and the operators of each column."""
        return self._document("/schema", self._version)

    def versions(self) -> dict[str, Any]:
        """The versions that can be read, with their snapshots."""
        return self._document("/versions")

    def iter_pages(
        self,
        *,
        select: Names | None = None,
        order: Names | None = None,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
        page_rows: int = _PAGE_ROWS,
        **filters: Any,
    ) -> Iterator[pa.Table]:
        """The rows, page by page, all of the snapshot that the first page is of; at least one page, maybe an empty one.

        `column=value`, `column=[one, other]`, `column__gte=value` filter; `order` names columns of the key, `-column`
        descends. `limit` is of rows in all, `page_rows` of those in memory at once.
        """
        for page in self.walk(parameters(filters, where, select, order), limit=limit, page_rows=page_rows):
            yield page.rows

    def to_arrow(self, **query: Any) -> pa.Table:
        """All rows in one table; takes what `iter_pages` takes."""
        return pa.concat_tables(self.iter_pages(**query))

    def to_pandas(self, **query: Any) -> pd.DataFrame:
        """All rows; needs pandas."""
        frame: pd.DataFrame = self.to_arrow(**query).to_pandas()
        return frame

    def to_polars(self, **query: Any) -> pl.DataFrame:
        """All rows; needs Polars."""
        # Polars is not required by the client; only those who ask for it need it.
        import polars as pl

        frame = pl.from_arrow(self.to_arrow(**query))
        assert isinstance(frame, pl.DataFrame)  # noqa: S101  # a table never becomes a Series
        return frame

    def walk(self, query: Pairs, *, limit: int | None = None, page_rows: int = _PAGE_ROWS) -> Iterator[Page]:
        """The same for parameters as an address has them; each page with the address of the next one."""
        most = _checked("page_rows", page_rows, MOST_PAGE_ROWS)
        left = _checked("limit", limit, None)
        address: str | None = self._first(query)
        while address is not None:
            page = self._page(_with_limit(address, most, left))
            yield page
            left = None if left is None else left - page.rows.num_rows
            address = page.next if left is None or left > 0 else None

    def bodies(self, media_type: str, query: Pairs, *, limit: int | None = None) -> Iterator[bytes]:
        """The pages as the gateway writes them in another format, JSON or CSV."""
        left = _checked("limit", limit, None)
        address: str | None = self._first(query)
        while address is not None:
            address = _with_limit(address, _TEXT_ROWS, left)
            answer = self._connection.get_once(address, {"Accept": media_type})
            yield answer.content
            rows, following = _told_in(answer)
            left = None if left is None else left - rows
            address = following if left is None or left > 0 else None

    def _first(self, query: Pairs) -> str:
        return f"{self._path}/data?{httpx.QueryParams([*query, *self._version.items()])}"

    def _page(self, address: str) -> Page:
        known = self._memory.find(address)
        headers = {"Accept": ARROW, **({"If-None-Match": known.etag} if known else {})}
        answer = self._connection.get_once(address, headers)
        if known is not None and answer.status_code == httpx.codes.NOT_MODIFIED:
            return known
        page = _read_page(self.name, answer)
        self._memory.keep(address, page)
        return page

    @property
    def _path(self) -> str:
        return f"/v1/products/{self.name}"

    def _document(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._connection.call("GET", f"{self._path}{path}", query=query or None).json()
        return found


def version_parameters(as_of: datetime | str | None, snapshot: str | None, channel: str | None) -> Mapping[str, str]:
    """What names a version in an address. Raises `BadField` for two of them, and for an instant without a time zone."""
    if isinstance(as_of, datetime):
        if as_of.tzinfo is None:
            raise BadField(field="as_of", reason="a time zone is needed, for instance tzinfo=timezone.utc")
        as_of = as_of.isoformat()
    given = {"as_of": as_of, "snapshot": snapshot, "channel": channel}
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) > 1:
        raise BadField(field=" and ".join(found), reason="one of them says which version is meant")
    return found


def _read_page(product: str, answer: httpx.Response) -> Page:
    """The page in an answer that came whole. Raises `ResultDamaged`."""
    following = _next_in(answer)
    if not answer.content.endswith(_END_OF_STREAM):  # pyarrow takes a stream without it for a whole one
        raise ResultDamaged(job=product, reason="the end of its Arrow stream is missing")
    try:
        reader = pa.ipc.open_stream(answer.content)
        batches = []
        while True:
            try:
                batch, told = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            batches.append(batch)
            if told is not None and _END in told:
                following = json.loads(told[_END]).get("next") or None
        rows = pa.Table.from_batches(batches, reader.schema)
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise ResultDamaged(job=product, reason=f"it is no whole Arrow stream ({error})") from None
    said = (answer.headers.get(name, "") for name in ("Datacanal-Snapshot", "ETag", "Datacanal-Receipt"))
    return Page(rows, following, *said)


def _next_in(answer: httpx.Response) -> str | None:
    link = _NEXT.search(answer.headers.get("Link", ""))
    return link[1] if link else None


def _told_in(answer: httpx.Response) -> tuple[int, str | None]:
    """Rows and next page. JSON says so itself, also where it was too long for its head to know; CSV is sent whole."""
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        document = answer.json()
        return len(document["data"]), document["page"]["next"]
    usage = _ROWS.search(answer.headers.get("Datacanal-Usage", ""))
    return int(usage[1]) if usage else 0, _next_in(answer)


def _with_limit(address: str, most: int, left: int | None) -> str:
    """A cursor pins the query but for its limit, so that the last page need not hold more than is wanted."""
    return str(httpx.URL(address).copy_set_param("limit", most if left is None else min(most, left)))


def _checked(field: str, rows: int | None, most: int | None) -> Any:
    if rows is not None and (not isinstance(rows, int) or rows < 1 or (most is not None and rows > most)):
        upper = "" if most is None else f" to {most:,}"
        raise BadField(field=field, reason=f"a whole number from 1{upper} is needed")
    return rows
