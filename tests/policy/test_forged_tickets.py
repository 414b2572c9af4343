"""Fetches with forged, stolen, late and repeated tickets: refused by the site that holds the output, and recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from tests.policy.forging import NOON, World

from datacanal.domain.errors import PeerUnknown, TransferRefused
from datacanal.site.exchange import Handout
from datacanal.site.peers import Peers
from datacanal.site.store.fences import NonceBook
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import NONCE_EXPIRY_S, Proof, Ticket, fetch_text, mint

# ---------------------------------------------------------------- tickets


def handout(world: World, at_s: float) -> Handout:
    """What answers fetches, at that time."""
    file = world.home / "kept.arrow"
    file.touch()
    row = OutputRow(
        id="out_1", job="job_t", step="scan", plan_digest="0" * 64, path=str(file), rows=1, bytes=1, digest="d" * 64,
        scanned_bytes=0, is_result=False, columns="[]", expires_ms=2**60, tenant="default", principal="ana",
    )  # fmt: skip
    peers = cast("Peers", world.verifier.pins)
    nonces = NonceBook(world.books.engine, NONCE_EXPIRY_S)
    kept = {"out_1": row, "out_2": row}
    return Handout("core", world.books.keys.seal, peers, kept.get, lambda: at_s, nonces.use, world.books.record.add)


def ticket_of(world: World, **changed: object) -> Ticket:
    given = Ticket(
        job=world.new_job(),
        step="scan",
        fence=1,
        output="out_1",
        digest="d" * 64,
        consumer="users",
        key=world.keys["users"].public,
        expires_s=int(NOON.timestamp()) + 60,
    )
    return given.model_copy(update=changed)


def proof_of(world: World, sealed_ticket: str, keys: str = "users", shift_s: int = 0) -> Proof:
    """The headers of a fetch of `out_1`, signed by that site."""
    unsigned = Proof(sealed_ticket, str(int(NOON.timestamp()) + shift_s), f"nonce{world.jobs}", "")
    return replace(unsigned, signature=world.keys[keys].sign(fetch_text("out_1", "", unsigned)))


def fetch_refused(world: World, proof: Proof, output: str = "out_1", caller: str = "users", at_s: float = 0) -> str:
    before = len(world.books.record.entries())
    with pytest.raises((TransferRefused, PeerUnknown)) as caught:
        handout(world, at_s or NOON.timestamp()).output_for(caller, output, "", proof)
    entries = world.books.record.entries()
    assert len(entries) == before + 1
    assert (entries[-1].entry.kind, entries[-1].entry.decision) == ("transfer", "refused")
    return caught.value.detail


def test_a_fetch_with_a_ticket_of_one_s_own_is_answered_once(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    assert handout(world, NOON.timestamp()).output_for("users", "out_1", "", proof).id == "out_1"
    assert "made before" in fetch_refused(world, proof)


def test_a_fetch_is_not_answered_again_after_a_restart(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    handout(world, NOON.timestamp()).output_for("users", "out_1", "", proof)
    world.reopen()
    assert "made before" in fetch_refused(world, proof)


def test_an_expired_ticket(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world, expires_s=int(NOON.timestamp())), world.books.keys.seal))
    assert "expired" in fetch_refused(world, proof)


def test_an_edited_ticket(world: World) -> None:
    body, _, mark = mint(ticket_of(world), world.books.keys.seal).partition(".")
    other = mint(ticket_of(world, key=world.keys["attacker"].public), world.books.keys.seal).partition(".")[0]
    assert body != other
    assert "not made by this site" in fetch_refused(world, proof_of(world, f"{other}.{mark}"))


def test_a_ticket_sealed_by_another_site(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.keys["attacker"].seal))
    assert "not made by this site" in fetch_refused(world, proof)


def test_a_ticket_for_another_output(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    assert "another output" in fetch_refused(world, proof, output="out_2")


def test_a_ticket_in_the_hands_of_a_thief(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal), keys="attacker")
    assert "not signed" in fetch_refused(world, proof)


def test_a_ticket_of_one_site_shown_by_another(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    assert "caller" in fetch_refused(world, proof, caller="elsewhere")


def test_a_ticket_for_a_site_that_is_pinned_no_more(world: World) -> None:
    ticket = ticket_of(world, consumer="attacker", key=world.keys["attacker"].public)
    proof = proof_of(world, mint(ticket, world.books.keys.seal), keys="attacker")
    assert "attacker" in fetch_refused(world, proof, caller="attacker")


@pytest.mark.parametrize("shift_s", [-3600, 3600])
def test_a_fetch_from_a_clock_an_hour_off(world: World, shift_s: int) -> None:
    ticket = ticket_of(world, expires_s=int(NOON.timestamp()) + 7200)
    proof = proof_of(world, mint(ticket, world.books.keys.seal), shift_s=shift_s)
    assert "clocks" in fetch_refused(world, proof)
