from pathlib import Path

import pytest

from datacanal.domain.errors import BadPolicy, NotAvailable
from datacanal.site.policy import Allowance, load_policy


def write(folder: Path, text: str) -> Path:
    file = folder / "lake.policy.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_public_policy_with_budgets_is_read_whole(tmp_path: Path) -> None:
    policy = load_policy(
        write(
            tmp_path,
            """
            default_class = "public"
            [budgets]
            job = { rows = 1000, bytes = "10MB" }
            dataset_day = { rows = 5 }
            [datasets."платежи"]
            key = ["id"]
            entity = "account"
            publish = "never"
            columns = { memo = { class = "public" } }
            budgets = { day = { rows = 7 } }
            """,
        )
    )
    assert policy.budgets.job == Allowance(rows=1000, bytes=10_000_000)
    assert policy.dataset("платежи").key == ["id"]
    assert policy.class_of("платежи", "MEMO") == "public"
    assert policy.dataset_day("платежи").rows == 7
    assert policy.dataset_day("other").rows == 5


def test_the_digest_names_the_meaning_not_the_spelling(tmp_path: Path) -> None:
    one = load_policy(write(tmp_path, 'default_class = "public"\n[budgets]\njob = { bytes = "1KiB" }'))
    same = load_policy(write(tmp_path, '# note\ndefault_class="public"\nbudgets.job.bytes = 1024\n'))
    other = load_policy(write(tmp_path, 'default_class = "public"\n[budgets]\njob = { bytes = 1025 }'))
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "default_class", "required"),
        ('default_class = "open"', "default_class", "public"),
        ('default_class = "public"\nwhat = 1', "what", "not known"),
        ('default_class = "public"\n[datasets.p.columns]\nm = { class = "masked" }', "datasets.p.columns.m", "mask"),
        (
            'default_class = "public"\n[datasets.p.columns]\nm = { class = "masked", mask = "rot13" }',
            "datasets.p.columns.m.mask",
            "prefix",
        ),
        (
            'default_class = "public"\n[datasets.p.columns]\nm = { class = "secret", min_group = 3 }',
            "datasets.p.columns.m",
            "aggregate",
        ),
        (
            'default_class = "public"\n[datasets.p.columns]\nm = { class = "aggregate" }',
            "datasets.p.columns.m",
            "min_group",
        ),
        ('default_class = "public"\n[datasets.p]\nreaders = ["risk"]', "datasets.p.readers.0", "group:"),
        ('default_class = "public"\n[budgets]\njob = { rows = -1 }', "budgets.job.rows", "greater"),
        ("default_class = ", "file", "TOML"),
    ],
)
def test_a_wrong_policy_is_refused_naming_file_key_and_reason(tmp_path: Path, text: str, key: str, words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(BadPolicy) as caught:
        load_policy(file)
    assert caught.value.data["key"] == key
    assert str(file) in caught.value.detail
    assert words in caught.value.detail
    assert caught.value.remedy


def test_a_missing_policy_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match="cannot be read"):
        load_policy(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('default_class = "secret"', "default_class"),
        ('default_class = "public"\n[datasets.p]\nreaders = ["group:risk"]', "datasets.p.readers"),
        ('default_class = "public"\n[datasets.p]\npublish = "approval"', "datasets.p.publish"),
        ('default_class = "public"\n[datasets.p]\nrows = "a > 1"', "datasets.p.rows"),
        ('default_class = "public"\n[datasets.p.columns]\nm = { class = "join_key" }', "datasets.p.columns.m.class"),
        (
            'default_class = "public"\n[datasets.p.columns]\nm = { class = "masked", mask = "prefix(3)" }',
            "datasets.p.columns.m.class",
        ),
        (
            'default_class = "public"\n[[grants]]\nto = "group:a"\ndatasets = ["p"]\npurpose = "x"\n'
            "expires = 2030-01-01T00:00:00Z",
            "grants",
        ),
    ],
)
def test_what_is_not_enforced_yet_is_refused_naming_the_key(tmp_path: Path, text: str, key: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(NotAvailable) as caught:
        load_policy(file)
    assert caught.value.data["key"] == key
    assert str(file) in caught.value.detail
