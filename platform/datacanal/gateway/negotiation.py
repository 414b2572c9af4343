"""What the Accept headers allow: one of five formats, one of three encodings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from datacanal.domain.errors import NotAcceptable


class Format(StrEnum):
    """By the word that ETags and access records use."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
MOST_ROWS = {each: 10_000 if each is Format.JSON else 1_000_000 for each in Format}
ENCODINGS = ("zstd", "gzip", "identity")
"""The first of equally welcome ones is taken."""


@dataclass(frozen=True)
class _Wish:
    name: str
    q: float


@lru_cache(1024)
def format_for(accept: str) -> Format:
    """The best format that the header allows; JSON where all are equally welcome. Raises `NotAcceptable`."""
    wishes = _wishes(accept) or [_Wish("*/*", 1.0)]
    welcome = {each: _media_q(wishes, media) for each, media in MEDIA_TYPES.items()}
    best = max(Format, key=lambda each: welcome[each])  # the first of equals
    if not welcome[best]:
        raise NotAcceptable(produced=", ".join(MEDIA_TYPES.values()))
    return best


@lru_cache(1024)
def media_for(accept: str, offered: tuple[str, ...]) -> str:
    """The best of these types that the header allows, the first of equals. Raises `NotAcceptable`."""
    wishes = _wishes(accept) or [_Wish("*/*", 1.0)]
    welcome = {media: _media_q(wishes, media) for media in offered}
    best = max(offered, key=lambda media: welcome[media])
    if not welcome[best]:
        raise NotAcceptable(produced=", ".join(offered))
    return best


@lru_cache(1024)
def encoding_for(accept: str) -> str:
    """The best encoding that the header allows. Raises `NotAcceptable`."""
    wishes = {wish.name: wish.q for wish in _wishes(accept)}
    # What is not named is possible by itself only as identity.
    welcome = {name: wishes.get(name, wishes.get("*", 0.0)) for name in ENCODINGS}
    if "identity" not in wishes and "*" not in wishes:
        welcome["identity"] = 0.001
    best = max(ENCODINGS, key=lambda name: welcome[name])
    if not welcome[best]:
        raise NotAcceptable(produced=f"sent as one of the encodings {', '.join(ENCODINGS)}")
    return best


@lru_cache(1024)
def check_accepts(accept: str, media: str) -> None:
    """Raise `NotAcceptable` where an answer of this one type is not allowed."""
    wishes = _wishes(accept)
    if wishes and not _media_q(wishes, media):
        raise NotAcceptable(produced=media)


def _media_q(wishes: list[_Wish], media: str) -> float:
    """The q of the most exact range that the type is in."""
    for name in (media, f"{media.partition('/')[0]}/*", "*/*"):
        found = [wish.q for wish in wishes if wish.name == name]
        if found:
            return max(found)
    return 0.0


def _wishes(header: str) -> list[_Wish]:
    return [_wish(part) for part in header.split(",") if part.strip()]


def _wish(part: str) -> _Wish:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    q = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return _Wish(name, min(1.0, max(0.0, float(q))))
    except ValueError:
        return _Wish(name, 0.0)
