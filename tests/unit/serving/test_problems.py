"""Codes, kinds and statuses."""

from __future__ import annotations

from pathlib import Path

from datacanal.domain.errors import Kind, error_classes
from datacanal.serving.problems import page, problem_response, status_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "errors.md"


def test_every_code_is_used_once() -> None:
    codes = [cls.code for cls in error_classes()]
    assert len(codes) == len(set(codes))


def test_nothing_that_a_user_does_is_a_server_error() -> None:
    for cls in error_classes():
        if cls.kind in (Kind.USER, Kind.POLICY, Kind.RESOURCE):
            assert 400 <= status_of(cls()) < 500, cls.code


def test_every_error_can_be_sent_with_a_remedy() -> None:
    for cls in error_classes():
        assert problem_response(cls()).status_code == status_of(cls())
        assert cls().remedy


def test_the_documented_table_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == page(), "python -m datacanal.serving.problems > docs/errors.md"
