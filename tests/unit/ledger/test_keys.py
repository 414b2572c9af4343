"""API keys as texts: whole, mistyped, and what is kept of them."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest

from datacanal.domain.metering_errors import KeyMalformed
from datacanal.ledger.keys import PREFIX, digest_of, is_secret_of, new_key, parsed, pepper_of

PEPPER = b"p" * 32
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-é \x00"


def test_a_key_is_read_back_and_only_its_digest_is_kept() -> None:
    made = new_key(PEPPER, "test")
    key = parsed(made.text)
    assert made.text.startswith(f"{PREFIX}test_{made.id}_")
    assert (key.id, key.mode, made.last_four) == (made.id, "test", made.text[-4:])
    assert digest_of(PEPPER, key.secret) == made.digest
    assert key.secret not in repr(key)


def test_keys_are_of_one_length_whatever_the_randomness() -> None:
    least, most = (new_key(PEPPER, "live", lambda size, byte=byte: byte * size) for byte in (b"\0", b"\xff"))
    assert len(least.text) == len(most.text) == 75
    assert parsed(most.text).secret != parsed(least.text).secret


def test_a_secret_is_told_from_another_under_another_pepper_and_from_none() -> None:
    made, other = new_key(PEPPER, "live"), new_key(PEPPER, "live")
    given = digest_of(PEPPER, parsed(made.text).secret)
    assert is_secret_of(made.digest, given)
    assert not is_secret_of(other.digest, given)
    assert not is_secret_of(made.digest, digest_of(b"q" * 32, parsed(made.text).secret))
    assert not is_secret_of(None, given)


def test_every_single_mistake_in_a_key_is_seen() -> None:
    """A CRC-32 finds every burst of at most 32 bits, so every letter that is another one."""
    text = new_key(PEPPER, "live").text
    for place, letter in enumerate(text):
        for wrong in ALPHABET.replace(letter, ""):
            with pytest.raises(KeyMalformed):
                parsed(text[:place] + wrong + text[place + 1 :])


def test_what_is_cut_doubled_or_swapped_is_no_key() -> None:
    choice = random.Random(5)
    text = new_key(PEPPER, "live", choice.randbytes).text
    for _ in range(2000):
        first, second = sorted(choice.sample(range(len(text)), 2))
        swapped = text[:first] + text[second] + text[first + 1 : second] + text[first] + text[second + 1 :]
        for mutant in {text[:first], text + text[first], text[:first] + text[second:], swapped} - {text}:
            with pytest.raises(KeyMalformed):
                parsed(mutant)


@pytest.mark.parametrize("text", ["", "dck_", "dct_aaa_bbb", "dck_live__", "dck_both_" + "0" * 66, "\ud800" * 75])
def test_what_never_was_a_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(KeyMalformed) as refused:
        parsed(text)
    assert refused.value.data == {}


def test_the_pepper_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first = pepper_of(tmp_path)
    assert len(first) == 32
    assert pepper_of(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "keys.pepper").stat().st_mode) == 0o600
