"""Every kind of bad policy: all that is wrong is found in one go, each with file, line, key and remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from datacanal.domain.errors import BadPolicy
from datacanal.site.policy.reading import MAX_BYTES, PolicyReading, load_policy, read_policy, text_of

NOW_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


def reading(folder: Path, text: str | bytes) -> PolicyReading:
    file = folder / "lake.policy.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_policy(text_of(file), NOW_S)


def columns(line: str, more: str = "") -> str:
    """A policy with one column in line 5."""
    return f'default_class = "public"\n[datasets.p]\nentity = "e"\n[datasets.p.columns]\n{line}\n{more}'


def dataset(line: str) -> str:
    """A policy with one line about a dataset, line 3."""
    return f'default_class = "public"\n[datasets.p]\n{line}\n'


def grants(*lines: str, readers: str = '["group:a"]') -> str:
    """A policy with grants of one line each, the first in line 4."""
    listed = ",\n".join(lines)
    return f'default_class = "public"\ndatasets.p.readers = {readers}\ngrants = [\n{listed}\n]\n'


GRANT = '{ to = "group:b", datasets = ["p"], purpose = "x", expires = 2030-01-01T00:00:00Z }'

BAD: dict[str, tuple[str | bytes, int | None, str, str]] = {
    "an empty file": ("", 1, "default_class", "empty"),
    "a file of comments": ("# nothing\n", 1, "default_class", "empty"),
    "no default class": ("[logs]\nrelease = true\n", 1, "default_class", "required"),
    "not TOML": ('default_class = "public"\nwhat is\n', 2, "file", "TOML"),
    "a key written twice": ('default_class = "public"\ndefault_class = "secret"\n', 2, "file", "TOML"),
    "not UTF-8": (b'default_class = "p\xff"', None, "file", "UTF-8"),
    "a file too large": (b"#" * (MAX_BYTES + 1), None, "file", "larger"),
    "an unknown class": ('default_class = "open"', 1, "default_class", "should be"),
    "a default class that needs a mask": ('default_class = "masked"', 1, "default_class", "mask"),
    "a default class that needs groups": ('default_class = "aggregate"', 1, "default_class", "min_group"),
    "an unknown key at the top": ('default_class = "public"\n\nwhat = 1', 3, "what", "not known"),
    "an unknown key of a dataset": (dataset('reader = ["group:a"]'), 3, "datasets.p.reader", "not known"),
    "an unknown key of a column": (columns('m = { class = "secret", y = 1 }'), 5, "datasets.p.columns.m.y", "known"),
    "an unknown key of a budget": ('default_class = "public"\nbudgets.job.row = 1', 2, "budgets.job.row", "not known"),
    "a dataset that is no table": ('default_class = "public"\ndatasets = ["p"]', 2, "datasets", "table"),
    "a column that is no table": (columns('m = "secret"'), 5, "datasets.p.columns.m", "table"),
    "a column without a class": (columns("m = { min_group = 3 }"), 5, "datasets.p.columns.m.class", "required"),
    "a number for a text": (dataset("entity = 3"), 3, "datasets.p.entity", "text"),
    "an empty text": (dataset('entity = ""'), 3, "datasets.p.entity", "empty"),
    "a text for a list": (dataset('key = "id"'), 3, "datasets.p.key", "list"),
    "an unknown word about Python": (dataset('python = "maybe"'), 3, "datasets.p.python", "'approval'"),
    "true for a word about Python": (dataset("python = true"), 3, "datasets.p.python", "'approval'"),
    "an empty name": ('default_class = "public"\n[datasets.""]\n', 2, "datasets.", "empty"),
    "a class masked without a mask": (columns('m = { class = "masked" }'), 5, "datasets.p.columns.m", "needs a mask"),
    "a mask without its class": (
        columns('m = { class = "secret", mask = "year" }'), 5, "datasets.p.columns.m.mask", "belongs"
    ),
    "an unknown mask": (
        columns('m = { class = "masked", mask = "rot13" }'), 5, "datasets.p.columns.m.mask", "prefix(n)"
    ),
    "a mask that shows nothing": (
        columns('m = { class = "masked", mask = "prefix(0)" }'), 5, "datasets.p.columns.m.mask", "nothing"
    ),
    "a bucket of no width": (
        columns('m = { class = "masked", mask = "bucket(0)" }'), 5, "datasets.p.columns.m.mask", "above 0"
    ),
    "an aggregate without min_group": (
        columns('m = { class = "aggregate" }'), 5, "datasets.p.columns.m", "needs min_group"
    ),
    "min_group below 2": (
        columns('m = { class = "aggregate", min_group = 1 }'), 5, "datasets.p.columns.m.min_group", "2"
    ),
    "min_group of another class": (
        columns('m = { class = "secret", min_group = 3 }'), 5, "datasets.p.columns.m.min_group", "belongs"
    ),
    "max_share of another class": (
        columns('m = { class = "public", max_share = 0.5 }'), 5, "datasets.p.columns.m.max_share", "belongs"
    ),
    "max_share above 1": (
        columns('m = { class = "aggregate", min_group = 3, max_share = 1.5 }'),
        5, "datasets.p.columns.m.max_share", "1",
    ),
    "max_share that no group can keep": (
        columns('m = { class = "aggregate", min_group = 4, max_share = 0.2 }'),
        5, "datasets.p.columns.m.max_share", "below 1/min_group",
    ),
    "buckets of another class": (
        columns('m = { class = "public", buckets = [1] }'), 5, "datasets.p.columns.m.buckets", "belongs"
    ),
    "a boundary that is no value": (
        columns('m = { class = "aggregate", min_group = 3, buckets = [1, true] }'),
        5, "datasets.p.columns.m.buckets.1", "boundary",
    ),
    "a boundary that is no number": (
        columns('m = { class = "aggregate", min_group = 3, buckets = [nan] }'),
        5, "datasets.p.columns.m.buckets.0", "finite",
    ),
    "a boundary named twice": (
        columns('m = { class = "aggregate", min_group = 3, buckets = [1, 1] }'),
        5, "datasets.p.columns.m.buckets", "twice",
    ),
    "aggregates without an entity": (
        'default_class = "public"\n[datasets.p.columns]\nm = { class = "aggregate", min_group = 3 }',
        3, "datasets.p.columns.m", "entity",
    ),
    "an entity that is secret": (columns('E = { class = "secret" }'), 3, "datasets.p.entity", "secret"),
    "an entity that is secret by default": (
        'default_class = "secret"\n[datasets.p]\nentity = "e"', 3, "datasets.p.entity", "secret"
    ),
    "an entity that is itself aggregated": (
        columns('e = { class = "aggregate", min_group = 3 }'), 3, "datasets.p.entity", "aggregate"
    ),
    "an entity whose mask merges individuals": (
        columns('e = { class = "masked", mask = "prefix(3)" }'), 3, "datasets.p.entity", "look like one"
    ),
    "columns that differ in case": (
        columns('m = { class = "secret" }', 'M = { class = "public" }'), 6, "datasets.p.columns.M", "only in case"
    ),
    "datasets that differ in case": (
        'default_class = "public"\n[datasets.p]\n[datasets.P]\n', 3, "datasets.P", "only in case"
    ),
    "a key column named twice": (dataset('key = ["a", "A"]'), 3, "datasets.p.key.1", "twice"),
    "a reader without a kind": (dataset('readers = ["risk"]'), 3, "datasets.p.readers.0", "group:"),
    "a reader without a name": (dataset('readers = ["group: "]'), 3, "datasets.p.readers.0", "group:"),
    "a reader named twice": (dataset('readers = ["group:a", "group:a"]'), 3, "datasets.p.readers.1", "twice"),
    "an unknown way to publish": (dataset('publish = "yes"'), 3, "datasets.p.publish", "never"),
    "an empty row filter": (dataset('rows = ""'), 3, "datasets.p.rows", "empty"),
    "a row filter that does not parse": (dataset('rows = "a >"'), 3, "datasets.p.rows", "read"),
    "a row filter of two conditions": (dataset('rows = "a > 1, b > 1"'), 3, "datasets.p.rows", "more than one"),
    "a row filter that is a statement": (dataset('rows = "a > 1; DROP TABLE x"'), 3, "datasets.p.rows", "read"),
    "a row filter with a clause": (dataset('rows = "a > 1 FROM x"'), 3, "datasets.p.rows", "more than one"),
    "a row filter with a subquery": (
        dataset('rows = "a IN (SELECT b FROM other)"'), 3, "datasets.p.rows", "subquery"
    ),
    "a row filter with a window": (dataset('rows = "row_number() OVER () = 1"'), 3, "datasets.p.rows", "window"),
    "a row filter by chance": (dataset('rows = "random() < 0.5"'), 3, "datasets.p.rows", "chance"),
    "a row filter by the clock": (dataset('rows = "day < current_date"'), 3, "datasets.p.rows", "clock"),
    "a row filter with an unknown function": (dataset("rows = \"read_text('/x') = ''\""), 3, "datasets.p.rows", "read"),
    "a row filter with a parameter": (dataset('rows = "a = $x"'), 3, "datasets.p.rows", "parameter"),
    "a row filter over all columns": (dataset('rows = "COLUMNS(*) > 1"'), 3, "datasets.p.rows", "COLUMNS"),
    "a budget below nothing": ('default_class = "public"\nbudgets.job.rows = -1', 2, "budgets.job.rows", "greater"),
    "a budget of no size": ('default_class = "public"\nbudgets.job.bytes = "many"', 2, "budgets.job.bytes", "size"),
    "queries below nothing": (
        dataset("budgets.aggregate_queries = -1"), 3, "datasets.p.budgets.aggregate_queries", "greater"
    ),
    "half a query": (
        'default_class = "public"\nbudgets.aggregate_queries = 1.5', 2, "budgets.aggregate_queries", "whole"
    ),
    "logs that are neither": ('default_class = "public"\nlogs.release = "maybe"', 2, "logs.release", "true or false"),
    "a grant to nobody": (
        grants('{ datasets = ["p"], purpose = "x", expires = 2030-01-01T00:00:00Z }'), 4, "grants.0.to", "required"
    ),
    "a grant without an end": (
        grants('{ to = "group:b", datasets = ["p"], purpose = "x" }'), 4, "grants.0.expires", "required"
    ),
    "a grant without datasets": (
        grants(GRANT.replace('["p"]', "[]")), 4, "grants.0.datasets", "empty"
    ),
    "a grant without a purpose": (grants(GRANT.replace('"x"', '""')), 4, "grants.0.purpose", "empty"),
    "a grant whose end is no time": (
        grants(GRANT.replace("2030-01-01T00:00:00Z", '"soon"')), 4, "grants.0.expires", "date"
    ),
    "two ends of one grant": (grants(GRANT, GRANT.replace("2030", "2031")), 5, "grants.1.datasets.0", "same principal"),
    "a grant written twice": (grants(GRANT, GRANT), 5, "grants.1.datasets.0", "same principal"),
    "a grant for what everybody may use": (
        f'default_class = "public"\ngrants = [\n{GRANT}\n]', 3, "grants.0.datasets.0", "every analyst"
    ),
    "a dataset named twice in a grant": (
        grants(GRANT.replace('["p"]', '["p", "P"]')), 4, "grants.0.datasets.1", "twice"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_policy_is_refused_with_line_key_reason_and_remedy(tmp_path: Path, kind: str) -> None:
    text, line, key, words = BAD[kind]
    found = reading(tmp_path, text)
    assert found.policy is None
    problem = next(one for one in found.problems if one.key == key and words in one.found.reason)
    assert problem.line == line
    assert problem.file == str(tmp_path / "lake.policy.toml")
    assert problem.found.remedy
    assert len(found.problems) == 1


WARNED = {
    "nobody may use it": (dataset("readers = []"), 3, "datasets.p.readers", "nobody"),
    "a grant that has expired": (grants(GRANT.replace("2030", "2020")), 4, "grants.0.expires", "expired"),
    "an approval that shows nothing": (
        'default_class = "secret"\n[datasets.p]\npython = "approval"',
        3,
        "datasets.p.python",
        "sees nothing",
    ),
    "a grant for a reader": (grants(GRANT, readers='["group:b"]'), 4, "grants.0.datasets.0", "needs none"),
}


@pytest.mark.parametrize("kind", WARNED)
def test_what_is_only_odd_is_a_warning(tmp_path: Path, kind: str) -> None:
    text, line, key, words = WARNED[kind]
    found = reading(tmp_path, text)
    assert found.policy is not None
    assert found.problems == ()
    (warning,) = found.warnings
    assert (warning.line, warning.key) == (line, key)
    assert words in warning.found.reason


def test_everything_wrong_is_found_in_one_go_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        """default_class = "open"
what = 1
[datasets.p]
rows = "random() < 1"
readers = ["risk"]
[datasets.p.columns]
a = { class = "aggregate", min_group = 1 }
b = { class = "masked" }
c = "secret"
[datasets.q.columns]
m = { class = "secret", mask = "year" }
[[grants]]
to = "group:x"
datasets = ["r"]
purpose = "y"
expires = 2030-01-01
[[grants]]
to = "nobody"
""",
    )
    assert [(problem.line, problem.key) for problem in found.problems] == [
        (1, "default_class"),
        (2, "what"),
        (4, "datasets.p.rows"),
        (5, "datasets.p.readers.0"),
        (7, "datasets.p.columns.a.min_group"),
        (7, "datasets.p.columns.a"),
        (8, "datasets.p.columns.b"),
        (9, "datasets.p.columns.c"),
        (11, "datasets.q.columns.m.mask"),
        (14, "grants.0.datasets.0"),
        (17, "grants.1.datasets"),
        (17, "grants.1.purpose"),
        (17, "grants.1.expires"),
        (18, "grants.1.to"),
    ]


def test_the_error_of_a_bad_policy_names_the_first_problem_and_holds_them_all(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('default_class = "public"\nwhat = 1\nmore = 2\n')
    with pytest.raises(BadPolicy) as caught:
        load_policy(file)
    assert (
        caught.value.detail == f"{file}:2: what: this key is not known here (and 1 more: `datacanal check` shows all)"
    )
    assert caught.value.remedy
    assert len(list(caught.value.data["problems"])) == 2  # type: ignore[call-overload]  # data is typed as object


@pytest.mark.parametrize("place", ["none.toml", "."])
def test_what_is_no_readable_file_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(BadPolicy, match=r"file: it (is not a file|cannot be read)"):
        load_policy(tmp_path / place)


def test_no_reason_quotes_a_value_of_the_file(tmp_path: Path) -> None:
    canary = "zx81canary"
    texts = [
        f'default_class = "{canary}"',
        columns(f'm = {{ class = "masked", mask = "{canary}" }}'),
        dataset(f"rows = \"status <> '{canary}' AND (\""),
        dataset(f'readers = ["{canary}"]'),
        f'default_class = "public"\nbudgets.job.bytes = "{canary}"',
        grants(GRANT.replace("2030-01-01T00:00:00Z", f'"{canary}"')),
    ]
    for text in texts:
        found = reading(tmp_path, text)
        assert found.problems
        assert all(canary not in problem.text(quoting=False) for problem in found.problems), text


def test_a_column_with_a_wrong_class_and_an_unknown_key_is_told_of_both(tmp_path: Path) -> None:
    found = reading(tmp_path, columns('m = { class = "what", y = 1 }')).problems
    assert [each.key for each in found] == ["datasets.p.columns.m.class", "datasets.p.columns.m.y"]


def test_a_file_that_stays_wrong_without_what_was_wrong_has_no_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datacanal.site.policy.reading._ROUNDS", 1)
    found = reading(tmp_path, 'default_class = "what"\n')
    assert found.policy is None
    assert found.problems
