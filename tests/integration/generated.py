"""Generated requests, and what holds for the answer to each of them."""

from __future__ import annotations

from contextlib import suppress

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation


def answers(operation: APIOperation, mode: GenerationMode, url: str, session: requests.Session, examples: int) -> int:
    """Send that many cases and check each answer; how many were sent."""
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def answer(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(base_url=url, session=session)

    with suppress(Unsatisfiable):  # nothing about this operation can be wrong
        answer()
    return sent
