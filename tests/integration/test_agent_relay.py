"""Fetches through the relay: what a control plane in the middle can do to them, and what it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.pair import CONTENT, Pair, Party
from tests.integration.town import Town, play

from datacanal.domain.errors import (
    DatacanalError,
    OutputLost,
    PeerUnknown,
    ServiceBusy,
    ServiceUnreachable,
    SiteUnreachable,
    TransferDamaged,
    TransferRefused,
)
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.site import RelayAsk, RelayCommand
from datacanal.site.relaying import RelayAsker, RelayServer

NOBODY = "https://127.0.0.1:1"
Deed = Callable[[bytes], bytes]


class ControlPlaneInTheMiddle:
    """Passes fetches on to the sender, and may change what is asked and what comes back."""

    def __init__(self, pair: Pair, change_ask: Callable[[RelayAsk], RelayAsk], *deeds: Deed) -> None:
        self._pair = pair
        self._change_ask = change_ask
        self._deeds = list(deeds)
        self._answer = b""
        self._problem: Problem | None = None
        self.saw = b""
        self.breaks_after = 0

    @asynccontextmanager
    async def relayed(self, ask: RelayAsk) -> AsyncIterator[AsyncIterator[bytes]]:
        self._answer, self._problem = b"", None
        server = RelayServer(self._pair.handout(), self, self._pair.core.keys, lambda length: b"e" * length)
        await server.serve(RelayCommand(relay="rel_1", ask=self._change_ask(ask)))
        if self._problem is not None:
            raise error_of(self._problem)
        yield self._pieces((self._deeds.pop(0) if self._deeds else bytes)(self._answer))

    async def _pieces(self, answer: bytes) -> AsyncIterator[bytes]:
        self.saw += answer
        for at in range(0, len(answer), 50_000):
            yield answer[at : at + 50_000]
            if self.breaks_after and at > self.breaks_after:
                self.breaks_after = 0
                raise ServiceUnreachable(url="the relay", reason="it broke")

    async def send_relay(self, relay: str, content: AsyncIterator[bytes]) -> None:
        self._answer = b"".join([chunk async for chunk in content])

    async def refuse_relay(self, relay: str, problem: Problem) -> None:
        self._problem = problem


async def session() -> str:
    return "ses_1"


def relayed(
    pair: Pair, *deeds: Deed, change_ask: Callable[[RelayAsk], RelayAsk] = lambda ask: ask, breaks_after: int = 0
) -> ControlPlaneInTheMiddle:
    """Fetch through a control plane that does these things, one per try."""
    middle = ControlPlaneInTheMiddle(pair, change_ask, *deeds)
    middle.breaks_after = breaks_after
    numbers = iter(range(1000))

    def random(length: int) -> bytes:
        return next(numbers).to_bytes(length, "big")

    asker = RelayAsker(middle, session, pair.west.peers, pair.west.keys, lambda: pair.west_clock_s, random)
    pair.keep()
    assert asyncio.run(pair.fetch(pair.offer(NOBODY), asker)) == CONTENT
    return middle


def refused(pair: Pair, *deeds: Deed, **options: Callable[[RelayAsk], RelayAsk]) -> DatacanalError:
    with pytest.raises(DatacanalError) as caught:
        relayed(pair, *deeds, **options)
    return caught.value


def test_what_cannot_be_fetched_directly_comes_through_the_relay_which_cannot_read_it(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    middle = relayed(pair)
    assert pair.arrival.bytes == len(CONTENT) < len(middle.saw)
    assert CONTENT[:32] not in middle.saw


def test_a_relay_that_breaks_is_taken_up_where_it_broke_off(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    offsets: list[int] = []

    def note(ask: RelayAsk) -> RelayAsk:
        offsets.append(ask.offset)
        return ask

    relayed(pair, change_ask=note, breaks_after=1_000_000)
    assert pair.arrival.bytes == len(CONTENT)
    assert offsets[0] == 0 < offsets[1] < len(CONTENT)


def test_a_stream_that_was_changed_is_asked_for_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    middle = relayed(pair, lambda answer: answer[:-20] + b"\x00" * 20, lambda answer: answer[:-1])
    assert len(middle.saw) > 2 * len(CONTENT)


def test_a_relay_that_keeps_changing_it_is_given_up(tmp_path: Path) -> None:
    error = refused(Pair(tmp_path), *[lambda answer: answer[:500] + b"\x00" + answer[501:]] * 5)
    assert isinstance(error, TransferDamaged)
    assert "record 0 was changed" in error.detail


def test_the_answer_of_another_fetch_is_none(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    first: list[bytes] = []

    def remember(answer: bytes) -> bytes:
        first.append(answer)
        return answer[:-1]

    middle = relayed(pair, remember, lambda _: first[0])
    assert middle.saw.startswith(first[0][:-1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"offset": 7}, "not signed"),
        ({"output": "out_2"}, "another output"),
        ({"nonce": "m"}, "not signed"),
        ({"time": "1900000001"}, "not signed"),
        ({"ephemeral": "A" * 43 + "="}, "not signed"),
        ({"ticket": "forged.ticket"}, "not made by this site"),
        ({"site": "users"}, "for site 'users'"),
        ({"offset": -1}, "for site 'core'"),
    ],
)
def test_an_ask_that_was_changed_is_refused_by_the_sender(tmp_path: Path, change: dict[str, object], says: str) -> None:
    error = refused(Pair(tmp_path), change_ask=lambda ask: ask.model_copy(update=change))
    assert error.code == TransferRefused.code
    assert says in error.detail


def test_an_ask_cannot_be_made_twice(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    asks: list[RelayAsk] = []

    def first_again(ask: RelayAsk) -> RelayAsk:
        asks.append(ask)
        return asks[0]

    error = refused(pair, lambda answer: answer[:-1], change_ask=first_again)
    assert error.code == TransferRefused.code
    assert "made before" in error.detail
    assert [entry.decision for entry in pair.refused] == ["refused"]


def test_a_sender_that_does_not_know_the_consumer_says_so(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    (pair.core.home / "peers" / "west.pem").unlink()
    error = refused(pair)
    assert (error.code, error.data["peer"]) == (PeerUnknown.code, "west")


def test_a_sender_with_another_key_than_the_pinned_one_is_not_believed(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.west.knows(Party(tmp_path / "renewed", "core", seed="2"))
    error = refused(pair)
    assert isinstance(error, TransferDamaged)
    assert "not signed by the site that is pinned" in error.detail


def test_an_output_that_is_gone_is_said_to_be_lost(tmp_path: Path) -> None:
    pair = Pair(tmp_path, content=b"something else")
    assert refused(pair).code == OutputLost.code


def test_a_relay_that_is_busy_is_tried_again_until_the_deadline(tmp_path: Path) -> None:
    def busy(ask: RelayAsk) -> RelayAsk:
        raise ServiceBusy(reason="the sender is away")

    error = refused(Pair(tmp_path, deadline_s=0.3), change_ask=busy)
    assert isinstance(error, SiteUnreachable)
    assert "through the relay: the sender is away" in error.detail


JOIN = (
    "SELECT name, count(*) n FROM transactions.payments JOIN people.persons USING (person)"
    " WHERE amount > 100 GROUP BY name ORDER BY name"
)


def test_sites_that_cannot_reach_each_other_answer_the_same_through_the_control_plane(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        for site in ("core", "users"):
            await town.open(site, exchange_url=NOBODY)
        job = await town.run(JOIN)
        assert [row["name"] for row in await town.rows(JOIN)] == [f"p{number}" for number in range(10)]
        (transfer,) = job["stats"]["transfers"]
        (sent,) = [
            entry for entry in town.egress(transfer["from"]) if entry.job == job["id"] and entry.kind == "transfer"
        ]
        assert job["stats"]["bytes_moved"] == sent.bytes > 0

    play(tmp_path, story)
