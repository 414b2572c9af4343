"""A snapshot held to its contract: one check after the other, each in words for its publisher."""

from __future__ import annotations

import duckdb

from datacanal.products.building.orders import CheckOrder
from datacanal.products.building.replay_check import replay_check
from datacanal.products.building.row_checks import key_check, not_null_check
from datacanal.products.building.schema_check import schema_check
from datacanal.products.building.size_checks import drift_check, freshness_check
from datacanal.products.manifest import read_manifest
from datacanal.protocol.products import Report


def check(order: CheckOrder, connection: duckdb.DuckDBPyConnection) -> Report:
    """Every check but the owners' consent. Raises DuckDB's errors and `FileNotFoundError`."""
    new = read_manifest(order.folder)
    old = None if order.against is None else read_manifest(order.against)
    key = key_check(order.folder, new, connection)
    checks = [
        schema_check(order.contract, new, old, major=order.major),
        key,
        not_null_check(order.contract, order.folder, new, connection),
        drift_check(order.contract, new, old),
        freshness_check(order.contract, new, order.now),
        replay_check(order, connection, has_unique_key=key.outcome == "passed"),
    ]
    return Report(against=None if old is None else old.version, checks=checks)
