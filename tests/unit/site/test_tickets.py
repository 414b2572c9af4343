"""A ticket opens one output to one consumer, for a while; nothing else does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from datacanal.domain.errors import TransferRefused
from datacanal.site.keys import SiteKeys, is_signed_by, load_keys
from datacanal.site.store.database import open_database
from datacanal.site.store.fences import NonceBook
from datacanal.site.tickets import (
    NONCE_EXPIRY_S,
    WINDOW_S,
    Proof,
    Ticket,
    check_fetch,
    fetch_text,
    mint,
    refused_fetch,
)

NOW_S = 1_900_000_000.0
SEAL = b"s" * 32


def keys(folder: Path, byte: bytes = b"k") -> SiteKeys:
    return load_keys(folder, lambda length: byte * length)


@pytest.fixture
def consumer(tmp_path: Path) -> SiteKeys:
    return keys(tmp_path / "west")


def anew(_nonce: str, _now_s: float) -> bool:
    return True


@contextmanager
def nonces(home: Path) -> Iterator[NonceBook]:
    engine = open_database(home / "site.db")
    yield NonceBook(engine, NONCE_EXPIRY_S)
    engine.dispose()


def ticket(consumer: SiteKeys) -> Ticket:
    return Ticket(
        job="job_1",
        step="s1",
        fence=3,
        output="out_1",
        digest="d",
        consumer="west",
        key=consumer.public,
        expires_s=int(NOW_S) + 60,
    )


def proof(consumer: SiteKeys, sealed: str, output: str = "out_1", range_: str = "", at_s: float = NOW_S) -> Proof:
    unsigned = Proof(sealed, str(int(at_s)), "nonce", "")
    return replace(unsigned, signature=consumer.sign(fetch_text(output, range_, unsigned)))


def refusal(given: Proof, output: str = "out_1", range_: str = "", now_s: float = NOW_S) -> str:
    with pytest.raises(TransferRefused) as caught:
        check_fetch(output, range_, given, SEAL, anew, now_s)
    return str(caught.value.data["reason"])


def test_the_consumer_named_by_a_ticket_may_fetch_with_it(consumer: SiteKeys) -> None:
    given = proof(consumer, mint(ticket(consumer), SEAL), range_="bytes=5-")
    assert check_fetch("out_1", "bytes=5-", given, SEAL, anew, NOW_S) == ticket(consumer)


def test_a_fetch_cannot_be_made_twice_even_after_a_restart(consumer: SiteKeys, tmp_path: Path) -> None:
    given = proof(consumer, mint(ticket(consumer), SEAL))
    with nonces(tmp_path) as seen:
        check_fetch("out_1", "", given, SEAL, seen.use, NOW_S)
        with pytest.raises(TransferRefused, match="made before"):
            check_fetch("out_1", "", given, SEAL, seen.use, NOW_S + 1)
    with nonces(tmp_path) as seen, pytest.raises(TransferRefused, match="made before"):
        check_fetch("out_1", "", given, SEAL, seen.use, NOW_S + 2)


def test_a_nonce_is_remembered_for_as_long_as_its_proof_could_be_shown_again(tmp_path: Path) -> None:
    with nonces(tmp_path) as seen:
        assert seen.use("a", NOW_S)
        assert not seen.use("a", NOW_S + 2 * WINDOW_S)
        assert seen.use("a", NOW_S + 2 * WINDOW_S + 1)


@pytest.mark.parametrize("nonce", ["", "n" * 65])
def test_a_nonce_has_a_length_that_makes_sense(tmp_path: Path, nonce: str) -> None:
    with nonces(tmp_path) as seen:
        assert not seen.use(nonce, NOW_S)


def test_a_refused_fetch_is_recorded_with_what_its_ticket_says(consumer: SiteKeys) -> None:
    given = proof(consumer, mint(ticket(consumer), SEAL))
    entry = refused_fetch("out_1", given, SEAL, TransferRefused(reason="the ticket expired"), NOW_S)
    assert (entry.kind, entry.decision) == ("transfer", "refused")
    assert (entry.job, entry.step, entry.fence, entry.receivers) == ("job_1", "s1", 3, ("west",))
    assert "expired" in entry.reason


def test_a_ticket_of_somebody_else_names_no_job_in_the_record(consumer: SiteKeys) -> None:
    given = proof(consumer, mint(ticket(consumer), b"x" * 32))
    entry = refused_fetch("out_1", given, SEAL, TransferRefused(reason="the ticket was not made by this site"), NOW_S)
    assert (entry.job, entry.receivers) == ("", ())
    assert "out_1" in entry.reason


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "eyJ9.AAAA"])
def test_nonsense_is_no_ticket(consumer: SiteKeys, text: str) -> None:
    assert "not made by this site" in refusal(proof(consumer, text))


def test_another_site_s_ticket_is_none(consumer: SiteKeys) -> None:
    assert "not made by this site" in refusal(proof(consumer, mint(ticket(consumer), b"x" * 32)))


def test_every_changed_character_of_a_ticket_is_noticed(consumer: SiteKeys) -> None:
    sealed = mint(ticket(consumer), SEAL)
    for position in range(0, len(sealed) - 1, 7):
        changed = sealed[:position] + ("A" if sealed[position] != "A" else "B") + sealed[position + 1 :]
        assert "not made by this site" in refusal(proof(consumer, changed))


def test_a_ticket_of_another_version_is_refused(consumer: SiteKeys) -> None:
    foreign = mint(ticket(consumer), SEAL).partition(".")[0]
    import base64
    import hmac

    body = base64.urlsafe_b64encode(b'{"v": 2}').decode()
    mark = base64.urlsafe_b64encode(hmac.digest(SEAL, body.encode(), "sha256")).decode()
    assert foreign != body
    assert "version" in refusal(proof(consumer, f"{body}.{mark}"))


def test_an_expired_ticket_is_refused(consumer: SiteKeys) -> None:
    late = NOW_S + 60
    assert "expired" in refusal(proof(consumer, mint(ticket(consumer), SEAL), at_s=late), now_s=late)


def test_a_ticket_for_one_output_opens_no_other(consumer: SiteKeys) -> None:
    given = proof(consumer, mint(ticket(consumer), SEAL), output="out_2")
    assert "another output" in refusal(given, output="out_2")


@pytest.mark.parametrize("shift_s", [-WINDOW_S - 1, WINDOW_S + 1])
def test_a_signature_from_another_time_is_refused(consumer: SiteKeys, shift_s: float) -> None:
    assert "clocks" in refusal(proof(consumer, mint(ticket(consumer), SEAL), at_s=NOW_S + shift_s))


@pytest.mark.parametrize("time", ["", "now", "-1", "１２", "9" * 400])
def test_a_time_that_is_none_is_refused(consumer: SiteKeys, time: str) -> None:
    assert "does not say when" in refusal(replace(proof(consumer, mint(ticket(consumer), SEAL)), time=time))


def test_a_ticket_is_worth_nothing_to_somebody_else(consumer: SiteKeys, tmp_path: Path) -> None:
    thief = keys(tmp_path / "thief", b"t")
    assert "not signed" in refusal(proof(thief, mint(ticket(consumer), SEAL)))


def test_the_part_asked_for_is_signed_too(consumer: SiteKeys) -> None:
    given = proof(consumer, mint(ticket(consumer), SEAL))
    assert "not signed" in refusal(given, range_="bytes=0-")


def test_keys_stay_the_same_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    first = keys(tmp_path / "home")
    again = load_keys(tmp_path / "home", lambda length: b"other" * length)
    assert first.public == again.public
    assert first.seal == again.seal
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "home").iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("signature", ["", "%%%", "AAAA"])
def test_nonsense_is_no_signature(consumer: SiteKeys, signature: str) -> None:
    assert not is_signed_by(consumer.public, "text", signature)
    assert not is_signed_by("AAAA", "text", consumer.sign("text"))
