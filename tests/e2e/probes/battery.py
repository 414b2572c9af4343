"""The functions that carry the probes into a Python job.

They are not in the tests' own modules: what pytest rewrites there needs pytest wherever it goes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from tests.e2e.probes.attempt import Facts, outcomes
from tests.e2e.probes.bombs import BOMBS
from tests.e2e.probes.files import FILES
from tests.e2e.probes.kernel import KERNEL
from tests.e2e.probes.network import NETWORK, shout

QUIET = {"files": FILES, "kernel": KERNEL, "network": NETWORK}
"""Probes that disturb nobody, by subject."""
OPEN = {subject: {name: each for name, each in probes.items() if each.opens} for subject, probes in QUIET.items()}
"""Those that get through where nothing is shut."""
COLUMNS = {"place": "VARCHAR", "subject": "VARCHAR", "probe": "VARCHAR", "outcome": "VARCHAR"}


def facts_of(text: str) -> Facts:
    told = json.loads(text)
    others = {name: (host, port) for name, (host, port) in told.pop("others").items()}
    return Facts(others=others, **told)


def quiet(facts: str) -> dict[str, dict[str, str]]:
    """The outcomes of all quiet probes, by subject."""
    return {subject: outcomes(probes, facts_of(facts)) for subject, probes in QUIET.items()}


def rows(place: str, found: Mapping[str, Mapping[str, str]]) -> list[dict[str, str]]:
    return [
        {"place": place, "subject": subject, "probe": name, "outcome": outcome}
        for subject, probes in found.items()
        for name, outcome in probes.items()
    ]


def battery(ctx: Any, facts: str) -> pa.Table:
    """Everything, in the driver and in a worker; the bombs in the driver."""
    shout(facts_of(facts))
    in_worker = ctx.client.submit(quiet, facts)
    found = rows("driver", quiet(facts)) + rows("worker", in_worker.result())
    found += rows("driver", {"bombs": outcomes(BOMBS, facts_of(facts))})
    return pa.Table.from_pylist(found)


def opened(facts: str) -> dict[str, dict[str, str]]:
    return {subject: outcomes(probes, facts_of(facts)) for subject, probes in OPEN.items()}


def neighbour(ctx: Any) -> None:
    """Be there."""
    time.sleep(600 if ctx.client else 0)
