"""A dataset under a policy: types behind masks, labels, rules of the view, and everything that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn, Snapshot, SnapshotFile
from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.site.engine.specification import MaskedColumn
from datacanal.site.policy import Policy
from datacanal.site.policy.governed import Governance, GovernedDataset, orphans

KEY = "ab" * 32
TYPES = {
    "id": "BIGINT",
    "Account": "BIGINT",
    "memo": "VARCHAR",
    "booked": "DATE",
    "amount": "DECIMAL(9,2)",
    "at": "TIMESTAMP",
    "part": "BIGINT",
}


def key_of(_lake: str) -> str:
    return KEY


def snapshot(types: Mapping[str, str] = TYPES) -> Snapshot:
    statistics = ColumnStatistics(compressed_bytes=12_345, null_count=3, distinct_count=1_234, min="1", max="9")
    columns = [
        DatasetColumn(name=name, type=kind, statistics=statistics, partition=name == "part")
        for name, kind in types.items()
    ]
    file = SnapshotFile(path="p/1.parquet", size_bytes=54_321, etag="e", rows=4_321)
    return Snapshot(id="snp_1", lake="t", dataset="Payments", columns=columns, files=[file])


def governed(default: str = "public", columns: Mapping[str, object] | None = None, **rest: Any) -> GovernedDataset:
    section = {"columns": dict(columns or {}), **rest}
    content = {"default_class": default, "datasets": {"payments": section}}
    return Governance(key_of).of(Policy.model_validate(content), snapshot())


def column(seen: GovernedDataset, name: str) -> DatasetColumn:
    return next(each for each in seen.columns if each.name == name)


def reasons(seen: GovernedDataset) -> dict[str, str]:
    return {".".join(map(str, found.key)): found.reason for found in seen.findings}


def test_an_open_dataset_is_shown_as_it_is_and_names_its_owner() -> None:
    seen = governed()
    assert [(each.name, each.type) for each in seen.columns] == list(TYPES.items())
    assert (seen.rules, seen.governed, seen.readers, seen.findings) == (None, False, None, ())
    (owner,) = {each.label.owners[0].model_dump_json() for each in seen.columns}
    assert '"lake":"t","dataset":"Payments"' in owner
    assert all(each.label.policy_class == "public" and each.label.origins == [] for each in seen.columns)
    assert column(seen, "id").statistics == snapshot().columns[0].statistics


def test_governed_columns_carry_what_their_owner_demands() -> None:
    seen = governed(
        columns={
            "ACCOUNT": {"class": "join_key"},
            "memo": {"class": "secret"},
            "amount": {"class": "aggregate", "min_group": 5, "max_share": 0.5, "buckets": [1000, 2.5]},
            "at": {"class": "aggregate", "min_group": 7, "buckets": ["2020-01-01", "2020-01-02T03:04:05"]},
        },
        entity="account",
    )
    owner = column(seen, "id").label.owners[0]
    assert column(seen, "Account").label == Label(
        policy_class="join_key",
        owners=[owner],
        origins=[Origin(lake="t", dataset="Payments", column="Account", policy_class="join_key")],
    )
    assert column(seen, "amount").label.origins == [
        Origin(
            lake="t", dataset="Payments", column="amount", policy_class="aggregate",
            entity="Account", min_group=5, max_share=0.5, buckets=["1000", "2.5"],
        )
    ]  # fmt: skip
    assert column(seen, "at").label.origins[0].buckets == [
        "TIMESTAMP '2020-01-01 00:00:00'",
        "TIMESTAMP '2020-01-02 03:04:05'",
    ]
    assert isinstance(owner, Owner)
    assert (seen.entity, seen.governed, seen.rules) == ("Account", True, None)


def test_the_default_class_governs_what_is_not_named() -> None:
    seen = governed("secret", {"id": {"class": "public"}})
    classes = {each.name: each.label.policy_class for each in seen.columns}
    assert classes == {name: "public" if name == "id" else "secret" for name in TYPES}
    assert column(seen, "memo").label.origins[0].policy_class == "secret"


def test_masks_give_their_types_and_the_rules_of_the_view() -> None:
    masks = {"memo": "prefix(2)", "booked": "year", "amount": "bucket(0.5)", "Account": "hash", "part": "bucket(10)"}
    seen = governed(columns={name: {"class": "masked", "mask": mask} for name, mask in masks.items()})
    assert {name: column(seen, name).type for name in masks} == {
        "memo": "VARCHAR",
        "booked": "BIGINT",
        "amount": "DECIMAL(9,2)",
        "Account": "VARCHAR",
        "part": "BIGINT",
    }
    assert seen.rules is not None
    assert seen.rules.masks["Account"] == MaskedColumn(mask="hash", raw_type="BIGINT")
    assert seen.rules.mask_key == KEY
    assert column(seen, "memo").label.policy_class == "masked"
    assert column(seen, "memo").label.origins == []
    assert column(seen, "part").mask == "bucket(10)"


def test_the_key_of_the_lake_is_handed_out_only_where_a_hash_needs_it() -> None:
    seen = governed(columns={"booked": {"class": "masked", "mask": "year"}})
    assert seen.rules is not None
    assert seen.rules.mask_key == ""


def test_a_row_filter_is_printed_from_its_tree_and_governs_the_dataset() -> None:
    seen = governed(rows="memo <> 'it''s' -- and a note\n AND Payments.amount > 0")
    assert seen.rules is not None
    assert seen.rules.rows == "((memo != 'it''s') AND (Payments.amount > 0))"
    assert seen.governed


def test_values_are_told_of_public_columns_only_and_counts_are_rounded() -> None:
    seen = governed(columns={"memo": {"class": "secret"}, "booked": {"class": "masked", "mask": "year"}})
    told = {name: column(seen, name).statistics for name in ("id", "memo", "booked")}
    rounded = ColumnStatistics(compressed_bytes=12_000, null_count=10, distinct_count=1_200)
    assert told["id"] == rounded.model_copy(update={"min": "1", "max": "9"})
    assert told["memo"] == rounded
    assert told["booked"] == rounded.model_copy(update={"distinct_count": None})


def test_a_row_filter_hides_the_bounds_of_every_column() -> None:
    told = column(governed(rows="id > 5"), "id").statistics
    assert told is not None
    assert (told.min, told.max, told.distinct_count) == (None, None, 1_200)


def test_a_key_is_told_unless_a_mask_makes_it_repeat() -> None:
    assert governed(key=["ID", "part"]).key == ("id", "part")
    assert governed(columns={"id": {"class": "masked", "mask": "hash"}}, key=["id"]).key == ("id",)
    assert governed(columns={"id": {"class": "masked", "mask": "bucket(2)"}}, key=["id"]).key == ()


@pytest.mark.parametrize(
    ("section", "key", "reason"),
    [
        ({"columns": {"memmo": {"class": "secret"}}}, "columns.memmo", "no such column"),
        ({"key": ["id", "nr"]}, "key.1", "no such column"),
        ({"entity": "person"}, "entity", "no such column"),
        ({"columns": {"memo": {"class": "masked", "mask": "year"}}}, "columns.memo.mask", "VARCHAR"),
        ({"columns": {"booked": {"class": "masked", "mask": "prefix(2)"}}}, "columns.booked.mask", "DATE"),
        ({"columns": {"part": {"class": "masked", "mask": "year"}}}, "columns.part.mask", "BIGINT"),
        (
            {"columns": {"at": {"class": "aggregate", "min_group": 3, "buckets": [5]}}},
            "columns.at.buckets.0",
            "no value",
        ),
        (
            {"columns": {"id": {"class": "aggregate", "min_group": 3, "buckets": [1, 2.5]}}},
            "columns.id.buckets.1",
            "no value",
        ),
        (
            {"columns": {"amount": {"class": "aggregate", "min_group": 3, "buckets": [0.125]}}},
            "columns.amount.buckets.0",
            "no value",
        ),
        ({"rows": "nothing > 1"}, "rows", "does not have"),
        ({"rows": "memo"}, "rows", "VARCHAR, not true or false"),
        ({"rows": "sum(amount) > 1"}, "rows", "does not fit"),
        ({"rows": "memo > 1 + booked"}, "rows", "does not fit"),
        ({"rows": "other.memo = 'a'"}, "rows", "does not"),
    ],
)
def test_a_policy_that_does_not_fit_shows_nothing_and_says_where(
    section: dict[str, Any], key: str, reason: str
) -> None:
    seen = governed(**section)
    assert (seen.columns, seen.rules) == ((), None)
    assert list(reasons(seen)) == [f"datasets.payments.{key}"]
    assert reason in reasons(seen)[f"datasets.payments.{key}"]
    assert seen.findings[0].remedy


def test_everything_that_does_not_fit_is_found_at_once_and_near_names_are_told() -> None:
    seen = governed(
        columns={"memmo": {"class": "secret"}, "booked": {"class": "masked", "mask": "hash"}}, entity="acount"
    )
    assert [found.remedy for found in seen.findings] == ["Did you mean 'memo'?", "Did you mean 'Account'?"]


def test_what_was_worked_out_once_is_remembered() -> None:
    governance = Governance(key_of)
    policy = Policy.model_validate({"default_class": "public"})
    assert governance.of(policy, snapshot()) is governance.of(policy, snapshot())
    assert governance.of(policy, snapshot({"id": "BIGINT"})) is not governance.of(policy, snapshot())


def test_sections_and_grants_without_a_dataset_are_found_and_a_near_name_is_more_than_a_warning() -> None:
    policy = Policy.model_validate(
        {
            "default_class": "public",
            "datasets": {"paymets": {}, "to_come": {}, "PEOPLE": {}},
            "grants": [{"to": "group:a", "datasets": ["people", "none"], "purpose": "x", "expires": "2030-01-01"}],
        }
    )
    found = {".".join(map(str, one.key)): (one.warning, near) for one, near in orphans(policy, ["payments", "people"])}
    assert found == {
        "datasets.paymets": (False, "payments"),
        "datasets.to_come": (True, None),
        "grants.0.datasets.1": (True, None),
    }


def test_a_dataset_with_a_section_of_its_own_is_not_meant_by_another() -> None:
    policy = Policy.model_validate({"default_class": "public", "datasets": {"paymets": {}, "payments": {}}})
    ((found, near),) = orphans(policy, ["payments"])
    assert (found.warning, near) == (True, None)


def test_columns_are_told_as_plans_write_them() -> None:
    seen = governed(columns={"memo": {"class": "secret"}})
    assert [(each.name, each.type) for each in seen.plan_columns] == list(TYPES.items())
    assert seen.plan_columns[2].label == column(seen, "memo").label


def test_what_was_worked_out_is_forgotten_before_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datacanal.site.policy.governed._KEPT", 1)
    governance = Governance(key_of)
    policy = Policy.model_validate({"default_class": "public"})
    first = governance.of(policy, snapshot())
    assert governance.of(policy, snapshot()) is first
    assert governance.of(policy, snapshot({"id": "BIGINT"})) is not first
    assert governance.of(policy, snapshot()) is not first
