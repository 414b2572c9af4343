"""A lake in a folder, the reader child, and registries under policies."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from datacanal.planning.quoting import literal
from datacanal.protocol.catalogue import DatasetReport, LakeReport
from datacanal.site.lakes.reading import LakeReader
from datacanal.site.lakes.registry import Lake, LakeRegistry
from datacanal.site.lakes.telling import Telling
from datacanal.site.policy import Policy, load_policy
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.governed import Governance
from datacanal.site.store.catalogue import CatalogueStore
from datacanal.site.store.database import open_database
from datacanal.site.store.policies import PolicyStore


@pytest.fixture(scope="module")
def reader() -> Iterator[LakeReader]:
    reader = LakeReader()
    yield reader
    reader.close()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    (tmp_path / "lake").mkdir()
    return tmp_path / "lake"


def registry(lake: Path, reader: LakeReader, **p: object) -> LakeRegistry:
    """A registry under a policy that says that of the dataset `p`."""
    engine = open_database(lake.parent / "home" / "site.db")
    policy = Policy.model_validate({"default_class": "public", "datasets": {"p": p}})
    book = PolicyBook({"t": policy}, {}, PolicyStore(engine), clock, keep_s=60)
    telling = Telling(book, Governance(key_of))
    return LakeRegistry([Lake("t", lake, policy)], reader, CatalogueStore(engine), telling, clock)


def clock() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


def key_of(_lake: str) -> str:
    return "00" * 32


def write(lake: Path, path: str, query: str, options: str = "") -> Path:
    file = lake / path
    file.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect().execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet {options})")
    return file


def only(lakes: LakeRegistry) -> DatasetReport:
    (report,) = lakes.reports()[1]
    return report


class Governed:
    """A lake with a policy file that may be written again."""

    def __init__(self, lake: Path, reader: LakeReader, text: str) -> None:
        engine = open_database(lake.parent / "home" / "site.db")
        self.file = lake.parent / "t.policy.toml"
        self.file.write_text(text)
        policy = load_policy(self.file)
        self.book = PolicyBook({"t": policy}, {"t": self.file}, PolicyStore(engine), clock, keep_s=60)
        telling = Telling(self.book, Governance(key_of))
        self.lakes = LakeRegistry([Lake("t", lake, policy)], reader, CatalogueStore(engine), telling, clock)
        self.lakes.refresh()

    def write(self, text: str) -> bool:
        self.file.write_text(text)
        return self.lakes.reload_policies()

    @property
    def report(self) -> LakeReport:
        (report,) = self.lakes.reports()[0]
        return report
