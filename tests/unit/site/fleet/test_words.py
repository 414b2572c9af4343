"""However much a job prints, its beginning and its end are kept, and no more."""

from __future__ import annotations

from datacanal.site.fleet.log import Words


def said(*pieces: bytes) -> str:
    words = Words(half_bytes=4)
    for piece in pieces:
        words.append(piece)
    return words.text()


def test_few_words_are_kept_whole() -> None:
    assert said(b"one", b"two", b"en") == "onetwoen"


def test_of_many_the_first_and_the_last_are_kept() -> None:
    assert said(b"begin", b"x" * 100, b"the end") == "begi\n… 104 bytes are left out …\n end"


def test_one_long_piece_is_treated_like_many() -> None:
    assert said(b"abcdefghijkl") == "abcd\n… 4 bytes are left out …\nijkl"


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert said(b"\xff\xfe") == "\ufffd\ufffd"
