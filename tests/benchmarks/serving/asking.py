"""What is asked of every server, said once; each server writes it in its own words (`servers.Server`)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import count

from tests.benchmarks.serving import bars

ZIPF = 20_000
"""Requests of a list in which some securities are asked for much more often than others."""
_STRIDE = 1_000_003
_PAGE_SESSIONS = 100


@dataclass(frozen=True)
class Ask:
    """One HTTP request; with a `body` it is a POST of JSON's or SQL's text."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Page:
    """W1: the security's first 100 rows not before that day, in JSON."""

    sec_id: str
    since: date
    rows: int = _PAGE_SESSIONS


@dataclass(frozen=True)
class Day:
    """W2: all rows of a session by security, in JSON."""

    session: date
    rows: int = bars.SECURITIES


@dataclass(frozen=True)
class Block:
    """W4: all rows of 100 securities that follow one another, as `arrow` or `parquet`."""

    first: str
    last: str
    format: str
    rows: int = 100 * bars.SESSIONS


def zipf_pages(seed: int = 5) -> list[Page]:
    """The last 100 sessions of securities drawn by Zipf's law with the exponent 1."""
    chooser = random.Random(seed)
    numbers = chooser.sample(range(bars.SECURITIES), bars.SECURITIES)
    weights = [1 / rank for rank in range(1, bars.SECURITIES + 1)]
    since = bars.sessions()[-_PAGE_SESSIONS]
    return [Page(bars.sec_id(number), since) for number in chooser.choices(numbers, weights, k=ZIPF)]


def distinct_pages() -> Iterator[Page]:
    """Securities and first days, none of both together twice: no memory of answers helps."""
    sessions = bars.sessions()[: -_PAGE_SESSIONS + 1]
    many = bars.SECURITIES * len(sessions)
    for each in range(many):
        security, day = divmod(each * _STRIDE % many, len(sessions))
        yield Page(bars.sec_id(security), sessions[day])


def days(seed: int = 6) -> Iterator[Day]:
    """Sessions in a random order, again and again; each time with a row less, so that no question comes twice."""
    order = random.Random(seed).sample(bars.sessions(), bars.SESSIONS)
    for less in count():
        yield from (Day(session, bars.SECURITIES - less) for session in order)


def blocks(format: str) -> Iterator[Block]:  # noqa: A002  # it is the word of the field
    """Blocks that overlap but differ, so that none was asked before."""
    for each in count():
        first = each * 137 % (bars.SECURITIES - 100)
        yield Block(bars.sec_id(first), bars.sec_id(first + 99), format)
