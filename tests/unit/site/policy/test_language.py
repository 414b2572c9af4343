"""What a policy file may say, and what is made of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from datacanal.site.policy import Allowance, Policy, load_policy
from datacanal.site.policy.model import LOG_BYTES

WHOLE = """
default_class = "public"

[logs]
release = true
max_bytes = "8KiB"

[budgets]
job = { rows = 1000, bytes = "10MB" }
dataset_day = { rows = 5 }
aggregate_queries = 50

[datasets."платежи"]
key = ["id"]
entity = "account"
readers = ["group:risk", "principal:Ana Nováková"]
publish = "approval"
python = "never"
rows = "status <> 'test'"
budgets = { day = { rows = 7 }, aggregate_queries = 3 }

[datasets."платежи".columns]
account = { class = "join_key" }
memo = { class = "secret" }
booked_at = { class = "masked", mask = "year" }
amount = { class = "aggregate", min_group = 10, max_share = 0.8, buckets = [0, 1000, 2.5] }

[[grants]]
to = "group:audit"
datasets = ["Платежи"]
purpose = "fraud"
expires = 2030-01-01T02:00:00+02:00
"""


def policy(folder: Path, text: str) -> Policy:
    file = folder / "lake.policy.toml"
    file.write_text(text, encoding="utf-8")
    return load_policy(file)


def test_the_whole_language_is_read(tmp_path: Path) -> None:
    read = policy(tmp_path, WHOLE)
    dataset = read.dataset("ПЛАТЕЖИ")
    assert (dataset.key, dataset.entity, dataset.publish, dataset.rows) == (
        ["id"],
        "account",
        "approval",
        "status <> 'test'",
    )
    assert dataset.readers == ["group:risk", "principal:Ana Nováková"]
    assert (read.logs.release, read.logs.max_bytes) == (True, 8192)
    amount = dataset.column("AMOUNT")
    assert amount is not None
    assert (amount.min_group, amount.max_share, amount.buckets) == (10, 0.8, [0, 1000, 2.5])


def test_names_are_found_as_duckdb_compares_them(tmp_path: Path) -> None:
    read = policy(tmp_path, WHOLE)
    assert read.class_of("платежи", "MEMO") == "secret"
    assert read.class_of("Платежи", "other") == "public"
    assert read.class_of("other", "memo") == "public"


def test_what_a_dataset_says_of_budgets_replaces_what_the_lake_says(tmp_path: Path) -> None:
    read = policy(tmp_path, WHOLE)
    assert read.budgets.job == Allowance(rows=1000, bytes=10_000_000)
    assert (read.dataset_day("платежи").rows, read.dataset_day("other").rows) == (7, 5)
    assert (read.aggregate_queries("платежи"), read.aggregate_queries("other")) == (3, 50)


def test_grants_are_given_by_dataset_with_their_end_in_seconds(tmp_path: Path) -> None:
    read = policy(tmp_path, WHOLE)
    (grant,) = read.grants_of("платежи")
    assert (grant.to, grant.purpose) == ("group:audit", "fraud")
    assert grant.expires_s == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert read.grants_of("other") == []


@pytest.mark.parametrize("expires", ["2030-01-01", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z"])
def test_an_expiry_without_a_zone_is_in_utc(tmp_path: Path, expires: str) -> None:
    (grant,) = policy(tmp_path, WHOLE.replace("2030-01-01T02:00:00+02:00", expires)).grants_of("платежи")
    assert grant.expires_s == datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def test_whether_functions_may_read_a_dataset_is_part_of_what_the_digest_names(tmp_path: Path) -> None:
    said = [policy(tmp_path, WHOLE.replace("never", word)) for word in ("never", "approval", "allowed")]
    assert [read.dataset("Платежи").python for read in said] == ["never", "approval", "allowed"]
    assert said[0].dataset("other").python == "allowed"
    assert len({read.digest for read in said}) == 3
    assert said[2].digest == policy(tmp_path, WHOLE.replace('python = "never"\n', "")).digest


def test_what_is_not_said_is_closed_or_unlimited(tmp_path: Path) -> None:
    read = policy(tmp_path, 'default_class = "secret"')
    assert (read.logs.release, read.logs.max_bytes) == (False, LOG_BYTES)
    assert read.dataset("p").publish == "never"
    assert read.dataset("p").readers is None
    assert (read.budgets.job.rows, read.aggregate_queries("p")) == (None, None)


def test_the_digest_names_the_meaning_not_the_spelling(tmp_path: Path) -> None:
    one = policy(tmp_path, 'default_class = "public"\n[budgets]\njob = { bytes = "1KiB" }')
    same = policy(tmp_path, '# note\ndefault_class="public"\nbudgets.job.bytes = 1024\n')
    other = policy(tmp_path, 'default_class = "public"\n[budgets]\njob = { bytes = 1025 }')
    assert one.digest == same.digest != other.digest


def test_a_policy_survives_its_own_document(tmp_path: Path) -> None:
    read = policy(tmp_path, WHOLE)
    again = Policy.model_validate(read.document)
    assert (again, again.digest) == (read, read.digest)
