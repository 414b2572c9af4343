"""What the gateway says about products, as JSON values: catalogue, schema, versions. Equal views give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from datacanal.gateway.callers import Caller, is_known_to, is_open_to
from datacanal.gateway.typing_rules import json_encoding, operators_of
from datacanal.gateway.view import Move, Product, Release, Restated, View
from datacanal.products.manifest import Manifest


def moment(at: datetime | None) -> str | None:
    """As all answers write an instant."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def found(view: View, caller: Caller, words: str) -> list[Product]:
    """The products that the caller may know and that hold every word, by name."""
    wanted = words.casefold().split()
    known = (each for each in view.products.values() if is_known_to(each, caller) and each.retired_at is None)
    return sorted((each for each in known if _holds(each, wanted)), key=lambda each: each.name)


def summary(product: Product, caller: Caller) -> dict[str, Any]:
    """One line of the catalogue; `open`: whether the caller can read the data."""
    current = product.current
    return {
        "name": product.name,
        "title": product.title,
        "owner": product.owner,
        "visibility": product.visibility,
        "open": is_open_to(product, caller),
        "channels": _channels(product),
        "rows": current.manifest.rows if current else None,
        "newest_session": newest_session(current.manifest) if current else None,
        "published_at": moment(product.stable[-1].at) if current else None,
        "freshness": _freshness(product),
    }


def whole(product: Product, caller: Caller) -> dict[str, Any]:
    """A product with its documentation and contract."""
    path = f"/v1/products/{product.name}"
    links = ("data", "schema", "openapi.json", "sample", "versions", "condition", "estimate", "entitlements", "tariffs")
    return {
        **summary(product, caller),
        "description": product.description,
        "created_at": moment(product.created_at),
        "contract": product.contract.model_dump(mode="json"),
        "sample": product.sample.model_dump(mode="json"),
        "links": {name.partition(".")[0]: f"{path}/{name}" for name in links},
    }


def schema(product: Product, release: Release) -> dict[str, Any]:
    """The columns of a version: their types, how JSON writes them, and how they can be filtered."""
    manifest = release.manifest
    columns = [
        {
            "name": column.name,
            "type": column.type,
            "json": json_encoding(column.type),
            "nullable": column.nullable,
            "key": column.name in manifest.key,
            "operators": operators_of(column.type),
        }
        for column in manifest.columns
    ]
    return {
        "product": product.name,
        "version": release.version,
        "snapshot": release.snapshot,
        "key": manifest.key,
        "session": manifest.session,
        "columns": columns,
    }


def versions(product: Product) -> dict[str, Any]:
    """Every version that was served, the newest first, with what was restated by it."""
    releases = sorted(product.releases.values(), key=lambda each: each.served_at, reverse=True)
    return {"product": product.name, "versions": [_version(product, each) for each in releases]}


def newest_session(manifest: Manifest) -> str | None:
    """The last session that has rows."""
    return manifest.sessions[-1].session if manifest.sessions else None


def _version(product: Product, release: Release) -> dict[str, Any]:
    return {
        "version": release.version,
        "snapshot": release.snapshot,
        "state": release.state.value,
        "kept": release.is_kept,
        "served_at": moment(release.served_at),
        "rows": release.manifest.rows,
        "bytes": release.manifest.layouts[0].bytes,
        "newest_session": newest_session(release.manifest),
        "restatements": [_restated(each) for each in product.restatements if each.new_snapshot == release.snapshot],
    }


def _restated(restated: Restated) -> dict[str, Any]:
    return {
        "old_snapshot": restated.old_snapshot,
        "new_snapshot": restated.new_snapshot,
        "sessions": list(restated.sessions),
        "keys": restated.keys,
        "rows": restated.rows,
        "reason": restated.reason,
        "at": moment(restated.at),
    }


def _channels(product: Product) -> list[dict[str, Any]]:
    stable = product.stable[-1] if product.stable else None
    return list(_pointing(product, (("stable", stable), ("canary", product.canary))))


def _pointing(product: Product, moves: Iterable[tuple[str, Move | None]]) -> Iterable[dict[str, Any]]:
    for channel, move in moves:
        release = product.releases.get(move.snapshot) if move and move.snapshot else None
        if move and release:
            yield {
                "channel": channel,
                "version": release.version,
                "snapshot": release.snapshot,
                "since": moment(move.at),
            }


def _freshness(product: Product) -> dict[str, Any] | None:
    wanted = product.contract.freshness
    unit = "sessions" if product.contract.calendar else "days"
    return {"at_most": wanted.at_most, "unit": unit, "calendar": product.contract.calendar} if wanted else None


def _holds(product: Product, words: list[str]) -> bool:
    text = f"{product.name}\n{product.title}\n{product.description}".casefold()
    return all(word in text for word in words)
