"""The way to the control plane: where its door is when it moves, and what failures mean."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from datacanal.domain.errors import DatacanalError, ServiceBusy, ServiceUnreachable
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import Heartbeat
from datacanal.site.control_link import ControlLink, SiteDoor

OLD, NEW = "https://127.0.0.1:1", "https://127.0.0.1:2"
BEAT = Heartbeat(session="ses_1", steps=[])


class Finder:
    """Says where the door is, if it is asked; counts how often."""

    def __init__(self, answer: str | DatacanalError) -> None:
        self.asked = 0
        self._answer = answer

    async def find(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self._answer, DatacanalError):
            raise self._answer
        return self._answer


def link(finder: Finder, answer: httpx.Response | None = None) -> ControlLink:
    """A link whose control plane answers at the new address only."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.port == 1:
            raise httpx.ConnectError("refused")
        return answer or httpx.Response(200, json={"stop": []})

    return ControlLink(httpx.AsyncClient(transport=httpx.MockTransport(handle)), SiteDoor(OLD, finder.find))


def test_a_door_that_moved_is_found_again_by_the_next_try() -> None:
    async def scene() -> None:
        finder = Finder(NEW)
        moved = link(finder)
        with pytest.raises(ServiceUnreachable):
            await moved.heartbeat(BEAT)
        assert (await moved.heartbeat(BEAT)).stop == []
        assert finder.asked == 1

    asyncio.run(scene())


def test_many_who_miss_it_at_once_ask_once() -> None:
    async def scene() -> None:
        finder = Finder(NEW)
        moved = link(finder)
        await asyncio.gather(*(moved.heartbeat(BEAT) for _ in range(20)), return_exceptions=True)
        assert finder.asked == 1

    asyncio.run(scene())


def test_a_control_plane_that_is_away_altogether_is_asked_for_again_later() -> None:
    async def scene() -> None:
        finder = Finder(ServiceUnreachable(url="x", reason="away"))
        away = link(finder)
        for _ in range(2):
            with pytest.raises(ServiceUnreachable):
                await away.heartbeat(BEAT)
        assert finder.asked == 2

    asyncio.run(scene())


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(503), httpx.Response(404, text="not ours"), httpx.Response(200, json={"of": "another version"})],
)
def test_an_answer_that_is_none_of_ours_may_be_better_later(answer: httpx.Response) -> None:
    async def scene() -> None:
        found = link(Finder(NEW), answer)
        with pytest.raises(ServiceUnreachable):
            await found.heartbeat(BEAT)
        with pytest.raises(ServiceBusy):
            await found.heartbeat(BEAT)

    asyncio.run(scene())


def test_a_refusal_is_raised_as_it_was_told() -> None:
    async def scene() -> None:
        problem = problem_of(ServiceBusy(reason="told")).model_copy(update={"code": "session_lost"})
        found = link(Finder(NEW), httpx.Response(409, text=problem.model_dump_json()))
        with pytest.raises(ServiceUnreachable):
            await found.heartbeat(BEAT)
        with pytest.raises(DatacanalError) as refused:
            await found.heartbeat(BEAT)
        assert refused.value.code == "session_lost"

    asyncio.run(scene())
