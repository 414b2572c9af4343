"""What a site tells of its lakes under the policy in force: by class, with line and file where it does not fit."""

from pathlib import Path

import pytest
from tests.unit.site.lakes.conftest import Governed, only, write

from datacanal.domain.errors import DatasetUnreadable
from datacanal.site.lakes.reading import LakeReader

ROWS = "SELECT range id, 'memo ' || range memo, range % 7 g FROM range(1234)"


def test_a_governed_dataset_is_told_by_class_and_the_site_keeps_its_own_figures(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", ROWS)
    text = """default_class = "public"
[datasets.p]
entity = "g"
readers = ["group:risk"]
python = "approval"
columns = { memo = { class = "secret" }, g = { class = "join_key" } }
[[grants]]
to = "principal:ana"
datasets = ["p"]
purpose = "fraud"
expires = 2031-01-01
"""
    house = Governed(lake, reader, text)
    house.lakes.sketch_one(reader)
    report = only(house.lakes)
    told = {column.name: column.statistics for column in report.columns}
    assert report.governed
    assert (report.entity, report.readers) == ("g", ["group:risk"])
    assert report.python == "approval"
    assert [grant.to for grant in report.grants] == ["principal:ana"]
    assert report.snapshot is not None
    assert report.snapshot.rows == 1_200
    assert report.snapshot.bytes % 100 == 0
    assert told["id"] is not None
    assert told["memo"] is not None
    assert (told["id"].min, told["id"].max) == ("0", "1233")
    assert (told["memo"].min, told["memo"].max, told["memo"].null_count) == (None, None, 0)
    own = house.lakes.snapshot(report.snapshot.id)
    assert own is not None
    assert sum(file.rows for file in own.files) == 1_234
    assert own.columns[1].statistics is not None
    assert own.columns[1].statistics.min == "memo 0"


def test_a_dataset_that_its_policy_does_not_fit_is_withheld_with_file_and_line(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", ROWS)
    write(lake, "q/1.parquet", ROWS)
    house = Governed(lake, reader, 'default_class = "public"\n[datasets.p.columns]\nmemmo = { class = "secret" }\n')
    withheld, other = house.lakes.reports()[1]
    assert other.problem is None
    assert withheld.columns == []
    assert withheld.snapshot is None
    assert withheld.problem is not None
    assert withheld.problem.code == "bad_policy"
    assert withheld.problem.detail.startswith(
        "t.policy.toml:3: datasets.p.columns.memmo: the dataset has no such column"
    )
    assert withheld.problem.remedy == "Did you mean 'memo'?"
    snapshot = house.lakes.snapshot(house.lakes.current()[0])
    assert snapshot is not None
    with pytest.raises(DatasetUnreadable, match="memmo"):
        house.lakes.shown(house.book.current("t"), snapshot)


def test_a_new_policy_is_in_force_with_the_next_look_at_the_lake(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", ROWS)
    house = Governed(lake, reader, 'default_class = "public"\n')
    open_digest = house.report.policy_digest
    assert not house.lakes.refresh()
    assert house.write('default_class = "secret"\n')
    assert house.report.policy_digest != open_digest
    (column, *_) = only(house.lakes).columns
    assert (column.label.policy_class, column.label.owners[0].policy) == ("secret", house.report.policy_digest)


def test_a_broken_policy_changes_nothing_but_the_lake_s_problem(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", ROWS)
    house = Governed(lake, reader, 'default_class = "public"\n')
    before = only(house.lakes)
    assert house.write('default_class = "public"\nwhat = 1\n')
    assert not house.lakes.refresh()
    assert only(house.lakes) == before
    assert house.report.problem is not None
    assert house.report.problem.detail.startswith("t.policy.toml:2: what")
    assert house.write('default_class = "public"\n')
    assert house.report.problem is None


def test_a_section_that_nearly_names_a_dataset_withholds_it(lake: Path, reader: LakeReader) -> None:
    write(lake, "payments/1.parquet", ROWS)
    text = 'default_class = "public"\n[datasets.paymets.columns]\nmemo = { class = "secret" }\n'
    house = Governed(lake, reader, text)
    problem = only(house.lakes).problem
    assert problem is not None
    assert problem.remedy == "Did you mean 'payments'?"
    assert house.report.problem == problem
    assert house.write(text.replace("paymets", "payments"))
    assert only(house.lakes).problem is None


def test_what_steps_see_is_what_is_told(lake: Path, reader: LakeReader) -> None:
    write(lake, "p/1.parquet", ROWS)
    text = (
        'default_class = "public"\n[datasets.p]\nrows = "g <> 3"\ncolumns.memo = { class = "masked", mask = "hash" }\n'
    )
    house = Governed(lake, reader, text)
    snapshot = house.lakes.snapshot(house.lakes.current()[0])
    assert snapshot is not None
    shown = house.lakes.shown(house.book.current("t"), snapshot)
    told = only(house.lakes).columns
    assert [(each.name, each.type, each.label) for each in shown.columns] == [
        (each.name, each.type, each.label) for each in told
    ]
    assert shown.rules is not None
    assert (shown.rules.rows, set(shown.rules.masks)) == ("(g != 3)", {"memo"})
