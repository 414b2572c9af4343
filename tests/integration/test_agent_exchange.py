"""Exchange and fetcher over real TLS on loopback, and over links that break in every way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.pair import CONTENT, Pair, Party, Spoil

from datacanal.domain.errors import (
    DatacanalError,
    OutOfDisk,
    OutputLost,
    PeerUnknown,
    SiteUnreachable,
    TransferDamaged,
    TransferRefused,
)
from datacanal.protocol.site import Offer
from datacanal.serving.runner import HttpServer, address_of, bind
from datacanal.serving.tls import mutual_server
from datacanal.site.exchange import create_exchange


def run(pair: Pair, *spoil: Spoil) -> bytes:
    pair.keep()

    async def main() -> bytes:
        async with pair.exchange() as direct, pair.link(direct, *spoil) as base:
            return await pair.fetch(pair.offer(base))

    return asyncio.run(main())


def test_an_output_arrives_whole_and_every_byte_is_counted(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    assert run(pair) == CONTENT
    assert pair.arrival.bytes == len(CONTENT)


def test_a_cut_transfer_resumes_where_it_broke_off(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    assert run(pair, lambda answer: answer[:-500_000], lambda answer: answer[:-1000]) == CONTENT
    assert pair.arrival.bytes == len(CONTENT)


def test_a_flipped_bit_is_noticed_and_fetched_again_and_counted_twice(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    assert run(pair, lambda answer: answer[:-10] + b"\x00" * 10) == CONTENT
    assert pair.arrival.bytes == 2 * len(CONTENT)


def test_busy_and_dead_links_are_tried_again(tmp_path: Path) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    assert run(Pair(tmp_path), lambda _: None, lambda _: busy, lambda _: b"garbage") == CONTENT


def test_a_link_that_forgets_ranges_starts_over(tmp_path: Path) -> None:
    whole = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT
    assert run(Pair(tmp_path), lambda answer: answer[:-1000], lambda _: whole) == CONTENT


def test_content_that_stays_damaged_is_given_up(tmp_path: Path) -> None:
    def flip(answer: bytes) -> bytes:
        return answer[:-1] + b"\x00"

    pair = Pair(tmp_path)
    with pytest.raises(TransferDamaged, match="digest"):
        run(pair, *[flip] * 9)
    assert pair.arrival.bytes == 3 * len(CONTENT)


def test_more_bytes_than_offered_are_not_stored(tmp_path: Path) -> None:
    def longer(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT + b"more"

    with pytest.raises(TransferDamaged, match="more than"):
        run(Pair(tmp_path), *[longer] * 9)


def test_a_site_that_answers_on_no_road_is_unreachable_after_the_deadline(tmp_path: Path) -> None:
    pair = Pair(tmp_path, deadline_s=0.3)
    with pytest.raises(SiteUnreachable, match=r"'core'.*directly: .*through the relay: nobody is there"):
        asyncio.run(pair.fetch(pair.offer(nobody())))


def nobody() -> str:
    with bind("127.0.0.1:0", key="exchange") as listening:
        return f"https://{address_of(listening)}"


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.keep()
    pair.file = Path("/dev/full")

    async def main() -> None:
        async with pair.exchange() as base:
            await pair.fetch(pair.offer(base))

    with pytest.raises(OutOfDisk):
        asyncio.run(main())


def attempt(pair: Pair, change: Callable[[Offer], Offer] = lambda given: given, *, keep: bool = True) -> DatacanalError:
    if keep:
        pair.keep()

    async def main() -> None:
        async with pair.exchange() as base:
            await pair.fetch(change(pair.offer(base)))

    with pytest.raises(DatacanalError) as caught:
        asyncio.run(main())
    return caught.value


def with_ticket(ticket: str) -> Callable[[Offer], Offer]:
    return lambda given: given.model_copy(update={"ticket": ticket})


def test_a_ticket_for_another_key_is_refused_at_once(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    thief = Party(tmp_path, "thief")
    error = attempt(pair, with_ticket(pair.ticket(consumer="thief", key=thief.keys.public)))
    assert error.code == TransferRefused.code
    assert "not signed" in error.detail


def test_a_ticket_of_another_site_is_refused_whoever_signs(tmp_path: Path) -> None:
    """The caller proves itself by its certificate; that it can sign for the ticket's key is not enough."""
    pair = Pair(tmp_path)
    north = Party(tmp_path, "north")
    pair.core.knows(north)
    error = attempt(pair, with_ticket(pair.ticket(consumer="north")))
    assert error.code == TransferRefused.code
    assert "for site 'north', the caller is 'west'" in error.detail
    assert [entry.decision for entry in pair.refused] == ["refused"]


def test_an_unknown_output_is_refused_because_the_ticket_is_for_another(tmp_path: Path) -> None:
    error = attempt(Pair(tmp_path), lambda given: given.model_copy(update={"url": given.url + "x", "output": "out_1x"}))
    assert error.code == TransferRefused.code


def test_an_output_that_is_gone_is_said_to_be_lost(tmp_path: Path) -> None:
    assert attempt(Pair(tmp_path), keep=False).code == OutputLost.code


def test_what_is_no_exchange_is_refused(tmp_path: Path) -> None:
    error = attempt(Pair(tmp_path), lambda given: given.model_copy(update={"url": given.url.replace("/v1/", "/v2/")}))
    assert error.code == TransferRefused.code


def test_a_seen_request_cannot_be_replayed_and_the_try_is_recorded(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.keep()

    async def main() -> list[int]:
        async with pair.exchange() as base, pair.links() as links:
            given = pair.offer(base)
            headers = pair.fetcher(links)._headers(given, 0)
            answers = [await links.client("core").get(given.url, headers=headers) for _ in range(2)]
            return [answer.status_code for answer in answers]

    assert asyncio.run(main()) == [200, 403]
    assert [(entry.job, entry.step, entry.decision) for entry in pair.refused] == [("j", "s1", "refused")]


def test_files_with_other_content_than_the_ticket_s_are_not_served(tmp_path: Path) -> None:
    assert attempt(Pair(tmp_path, content=b"something else")).code == OutputLost.code


@pytest.mark.parametrize("shift_s", [3600, -3600])
def test_clocks_an_hour_apart_are_named_both(tmp_path: Path, shift_s: int) -> None:
    pair = Pair(tmp_path)
    pair.west_clock_s += shift_s
    error = attempt(pair)
    assert error.code == TransferRefused.code
    there = {3600: "2030-03-17T18:46:40Z", -3600: "2030-03-17T16:46:40Z"}[shift_s]
    assert f"site 'west' says {there}, the clock of its sender 2030-03-17T17:46:40Z" in error.detail


def test_a_site_that_is_not_pinned_is_not_even_called(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    (pair.west.home / "peers" / "core.pem").unlink()
    error = attempt(pair)
    assert isinstance(error, PeerUnknown)
    assert "datacanal site trust" in error.remedy


def test_somebody_else_at_the_sender_s_address_gets_nothing_and_is_no_reason_to_wait(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.keep()
    other = Party(tmp_path, "other")

    async def main() -> None:
        listening = bind("127.0.0.1:0", key="exchange")
        tls = mutual_server(other.identity.pair, lambda: (pair.west.identity.certificate.pem,))
        server = HttpServer(create_exchange(pair.handout()), listening, tls)
        await server.start()
        try:
            await pair.fetch(pair.offer(f"https://{address_of(listening)}"))
        finally:
            await server.stop()

    with pytest.raises(TransferRefused, match="does not hold the key that is pinned"):
        asyncio.run(main())


def test_a_caller_whose_pin_was_taken_away_is_refused_on_the_connection_it_has(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.keep()

    async def main() -> list[int]:
        async with pair.exchange() as base, pair.links() as links:
            given, fetcher, client = pair.offer(base), pair.fetcher(links), links.client("core")
            first = await client.get(given.url, headers=fetcher._headers(given, 0))
            (pair.core.home / "peers" / "west.pem").unlink()
            second = await client.get(given.url, headers=fetcher._headers(given, 0))
            return [first.status_code, second.status_code]

    assert asyncio.run(main()) == [200, 403]


def test_a_receiver_that_learns_a_new_key_of_the_sender_uses_it_at_once(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.keep()
    renewed = Party(tmp_path / "renewed", "core", seed="2")

    async def main() -> None:
        async with pair.exchange() as base, pair.links() as links:
            fetcher = pair.fetcher(links)
            await fetcher.fetch(pair.offer(base), pair.file, pair.arrival)
            pair.west.knows(renewed)
            with pytest.raises(TransferRefused, match="does not hold the key"):
                await fetcher.fetch(pair.offer(base), pair.file, pair.arrival)

    asyncio.run(main())


def test_plain_http_is_not_spoken_with_an_exchange(tmp_path: Path) -> None:
    pair = Pair(tmp_path)

    async def main() -> bytes:
        async with pair.exchange() as base:
            host, port = base.removeprefix("https://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /v1/transfers/out_1 HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    assert asyncio.run(main()) == b""


def test_an_offer_of_a_plain_http_address_is_not_fetched(tmp_path: Path) -> None:
    pair = Pair(tmp_path, deadline_s=0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(TransferRefused, match="no https address"):
            asyncio.run(pair.fetch(pair.offer(base)))
