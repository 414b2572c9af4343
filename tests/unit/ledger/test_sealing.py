"""The book is sealed by one at a time, in two places, and never over what does not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.ledgers import AT, Ledger, TurnOfOthers, draft, tampering

from datacanal.domain.checkpoint import Checkpoint, read_line
from datacanal.domain.errors import NotFound
from datacanal.domain.metering_errors import LedgerDamaged
from datacanal.ledger import sealing
from datacanal.ledger.book import end_of, extend
from datacanal.ledger.checkpoints import add_checkpoint, checkpoint_over, last_checkpoint
from datacanal.ledger.models import BookRow
from datacanal.ledger.sealing_turns import FileTurn, turn_for
from datacanal.ledger.signing import PUBLIC_FILE, ledger_key, read_public
from datacanal.seals import fingerprint, is_signed
from datacanal.storage.places import EMBEDDED


@pytest.fixture
def ledger(tmp_path: Path):  # type: ignore[no-untyped-def]  # a fixture
    ledger = Ledger(tmp_path / "home")
    yield ledger
    ledger.close()


def copied(ledger: Ledger) -> list[Checkpoint | None]:
    return [read_line(line) for line in ledger.copy.read_text("ascii").splitlines(keepends=True)]


def test_a_checkpoint_stands_in_both_places_and_is_signed(ledger: Ledger) -> None:
    ledger.add(draft(1), draft(2))
    made = ledger.sequencer.seal()
    assert made is not None
    with ledger.store.reading() as connection:
        assert last_checkpoint(connection) == made
        assert checkpoint_over(connection, 2) == made
        assert checkpoint_over(connection, 3) is None
    assert copied(ledger) == [made]
    assert (made.number, made.count) == (1, 2)
    public = read_public(ledger.home / PUBLIC_FILE)
    assert made.key == fingerprint(public)
    assert is_signed(made, public)
    assert not is_signed(replace(made, count=3), public)
    assert not is_signed(replace(made, signature=made.signature.upper()), public)
    assert not is_signed(replace(made, signature="nonsense"), public)


def test_a_book_that_did_not_grow_is_not_sealed_again(ledger: Ledger) -> None:
    assert ledger.sequencer.seal() is None
    ledger.grow(3, 3)
    assert ledger.sequencer.seal() is None
    assert len(copied(ledger)) == 1


def test_one_checkpoint_covers_so_many_events_at_most(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_MOST_EVENTS", 2)
    ledger.add(*map(draft, range(5)))
    counts = []
    while made := ledger.sequencer.seal():
        counts.append(made.count)
    assert counts == [2, 4, 5]
    assert ledger.report().faults == ()


def test_the_thread_seals_all_that_was_there_when_it_began(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_MOST_EVENTS", 2)
    ledger.add(*map(draft, range(5)))
    ledger.sequencer.start()
    ledger.sequencer.close()
    assert [made and made.count for made in copied(ledger)] == [2, 4, 5]


def test_what_is_appended_while_the_thread_seals_waits_for_its_next_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a book that always grows is sealed without a pause, a few events at a time."""
    added, seal = iter(range(2, 100)), ledger.sequencer.seal

    def seal_and_append() -> Checkpoint | None:
        made = seal()
        ledger.add(draft(next(added)))
        return made

    ledger.add(draft(1))
    monkeypatch.setattr(ledger.sequencer, "seal", seal_and_append)
    ledger.sequencer.start()
    ledger.sequencer.close()
    assert 1 <= len(copied(ledger)) <= 2
    assert ledger.report().unsealed == 1


def test_a_thread_seals_what_was_appended_and_the_rest_when_it_is_closed(ledger: Ledger) -> None:
    ledger.sequencer.start()
    ledger.add(draft(1))
    while not ledger.copy.exists() or not copied(ledger):
        pass
    ledger.add(draft(2))
    ledger.sequencer.close()
    assert ledger.report().unsealed == 0


def test_only_whose_turn_it_is_seals(ledger: Ledger) -> None:
    ledger.add(draft(1))
    waiting = ledger.another(TurnOfOthers())
    waiting.start()
    waiting.close()
    assert ledger.report().unsealed == 1
    assert waiting.problem is None


def test_of_two_gateways_one_has_the_turn_until_it_ends(tmp_path: Path) -> None:
    one, other = FileTurn(tmp_path / "lock"), FileTurn(tmp_path / "lock")
    assert one.take()
    assert one.take()
    assert not other.take()
    other.give()
    assert not other.take()
    one.give()
    assert other.take()
    other.give()


def test_a_home_has_its_turn_as_a_file(ledger: Ledger) -> None:
    turn = turn_for(ledger.store, ledger.home, EMBEDDED)
    assert isinstance(turn, FileTurn)
    assert turn.take()
    turn.give()


def test_a_gateway_that_cannot_seal_lets_another_have_its_turn(ledger: Ledger) -> None:
    ledger.add(draft(1))
    lock = ledger.home / "lock"
    broken = ledger.another(FileTurn(lock), copy=ledger.home / "missing" / "copy")
    broken.start()
    broken.close()
    assert broken.problem is not None
    assert FileTurn(lock).take()


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_turn_that_cannot_be_given_back_breaks_nothing(ledger: Ledger, is_broken: bool) -> None:
    class KeptTurn(TurnOfOthers):
        def take(self) -> bool:
            raise OSError("no file")

        def give(self) -> None:
            if is_broken:
                raise OSError("no file")

    kept = ledger.another(KeptTurn())
    kept._try()
    assert kept.problem == "no file"


# ---------------------------------------------------------------- the second place


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_what_a_crash_left_out_of_the_copy_is_completed(ledger: Ledger, kept: int) -> None:
    """The row of a checkpoint is committed, and its line is missing, or the end of it."""
    ledger.grow(6, 3)
    whole = ledger.copy.read_bytes()
    first = whole.index(b"\n") + 1
    ledger.copy.write_bytes(whole[: first + kept] if kept >= 0 else whole[:kept])
    assert ledger.sequencer.seal() is None
    assert ledger.copy.read_bytes() == whole


def test_the_first_line_is_completed_too(ledger: Ledger) -> None:
    ledger.grow(3, 3)
    whole = ledger.copy.read_bytes()
    ledger.copy.unlink()
    ledger.sequencer.seal()
    assert ledger.copy.read_bytes() == whole


def test_a_copy_that_cannot_be_written_is_said_and_nothing_is_sealed_over_it(ledger: Ledger) -> None:
    ledger.add(draft(1))
    broken = ledger.another(copy=ledger.home / "missing" / "copy")
    broken.start()
    while broken.problem is None:
        pass
    broken.close()
    assert broken.problem is not None
    assert "No such file" in broken.problem
    ledger.add(draft(2))
    with pytest.raises(OSError, match="No such file"):
        broken.seal()
    with ledger.store.reading() as connection:
        last = last_checkpoint(connection)
    assert last is not None
    assert last.count == 1
    assert ledger.report().behind == 1


@pytest.mark.parametrize("damage", ["another line", "no lines", "an earlier end"])
def test_a_copy_that_does_not_lead_to_the_book_is_not_gone_on_with(ledger: Ledger, damage: str) -> None:
    ledger.grow(9, 3)
    lines = ledger.copy.read_text("ascii").splitlines(keepends=True)
    damaged = {"another line": [*lines[:2], "x" + lines[2]], "no lines": [], "an earlier end": lines[:1]}[damage]
    ledger.copy.write_text("".join(damaged))
    with pytest.raises(LedgerDamaged, match="does not lead to checkpoint 3"):
        ledger.sequencer.seal()
    assert ledger.copy.read_text("ascii") == "".join(damaged)


def test_a_copy_of_checkpoints_that_the_book_lacks_is_not_gone_on_with(ledger: Ledger) -> None:
    ledger.copy.write_text("x")
    with pytest.raises(LedgerDamaged, match="does not lead to checkpoint 0"):
        ledger.sequencer.seal()


# ---------------------------------------------------------------- what does not hold


def test_a_book_whose_sealed_end_was_changed_is_not_sealed_over(ledger: Ledger) -> None:
    ledger.grow(3, 3)
    ledger.add(draft(4))
    with tampering(ledger.home) as book:
        book.execute("UPDATE events SET hash = 'x' WHERE seq = 3")
    ledger.sequencer.start()
    ledger.sequencer.close()
    assert ledger.sequencer.problem is not None
    assert "event 3 has not the hash that was noted for it" in ledger.sequencer.problem
    assert len(copied(ledger)) == 1


def test_an_end_that_no_event_has_is_not_sealed(ledger: Ledger) -> None:
    ledger.grow(3, 3)
    with tampering(ledger.home) as book:
        book.execute("UPDATE book SET seq = 9")
    with pytest.raises(LedgerDamaged, match="event 9 has not the hash"):
        ledger.sequencer.seal()


def test_what_nobody_foresaw_is_told_by_its_name_alone(ledger: Ledger) -> None:
    class BrokenTurn:
        def take(self) -> bool:
            raise RuntimeError("secret words")

        def give(self) -> None: ...

    broken = ledger.another(BrokenTurn())
    broken.start()
    broken.close()
    assert broken.problem == "RuntimeError"


def test_one_number_is_given_once(ledger: Ledger) -> None:
    ledger.grow(3, 3)
    with ledger.store.reading() as connection:
        last = last_checkpoint(connection)
    assert last is not None
    with pytest.raises(Exception, match="UNIQUE"), ledger.store.writing() as connection:
        add_checkpoint(connection, last)


# ---------------------------------------------------------------- the key


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    key = ledger_key(tmp_path)
    assert ledger_key(tmp_path).public == key.public == read_public(tmp_path / PUBLIC_FILE)
    assert (tmp_path / "ledger.key").stat().st_mode & 0o777 == 0o600
    assert "public" not in repr(key)


@pytest.mark.parametrize("content", [None, "", "xx", "00"])
def test_a_file_that_is_no_public_key_is_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(NotFound):
        read_public(file)


# ---------------------------------------------------------------- appending


def test_nothing_is_appended_of_nothing(ledger: Ledger) -> None:
    ledger.add()
    with ledger.store.writing() as connection:
        end = end_of(connection)
        assert extend(connection, end, [], AT) == end
    assert ledger.report().count == 0


def test_times_never_go_back_and_never_into_a_closed_period(ledger: Ledger) -> None:
    ledger.now = AT.replace(year=2020)
    with ledger.store.writing() as connection:
        connection.execute(BookRow.__table__.update().values(closed_until=AT))
    ledger.add(draft(1))
    with ledger.store.reading() as connection:
        assert connection.execute(BookRow.__table__.select()).one().at == AT
