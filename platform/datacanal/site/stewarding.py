"""The site's store and record as a steward's command opens them, whether the agent runs or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from datacanal.site.approvals import Stewardship
from datacanal.site.keys import load_keys, public_key
from datacanal.site.places import Places
from datacanal.site.record.book import open_record
from datacanal.site.store.approvals import ApprovalStore
from datacanal.site.store.database import open_database


@contextmanager
def open_stewardship(site: str, places: Places) -> Iterator[Stewardship]:
    """Raises `NotFound` for a home that no agent has used yet, and `RecordDamaged`."""
    public_key(places.home)  # keys are the agent's to make
    engine = open_database(places.database)
    try:
        record = open_record(engine, site, load_keys(places.home, os.urandom), places.home)
        yield Stewardship(ApprovalStore(engine), record)
    finally:
        engine.dispose()
