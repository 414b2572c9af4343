"""Products, versions and reports as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.cells import cell_len

from datacanal.cli.product_text import held_error, print_product, print_products, print_version, print_versions
from datacanal.domain.errors import ResultExpired
from datacanal.protocol.problem import problem_of
from datacanal.protocol.products import (
    ChannelView,
    Check,
    Consent,
    Contract,
    Difference,
    Freshness,
    Lineage,
    ProductSummary,
    ProductView,
    Report,
    Sample,
    VersionView,
)

AT = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
DRIFT = Check(check="drift", outcome="held", says="10 rows after 1,000.", acceptable=True)
KEY = Check(
    check="key",
    outcome="held",
    says="证券 does not name each row once.",
    differences=[Difference(what="1 key names several rows", examples=["证券 = 平安\x1b[31m: 2 rows"])],
)
PASSED = Check(check="not_null", outcome="passed", says="No null in 'n'.")


def version(**given: Any) -> VersionView:
    """A staged one, unless something else is given."""
    fields: dict[str, Any] = {
        "product": "quotes.bars", "version": "1.3", "snapshot": "snp_1", "state": "staged", "rows": 1, "bytes": 2500,
        "created_at": AT, "staged_at": AT, "report": None, "consents": [], "problem": None, "reason": None,
        "lineage": Lineage(job="job_1", plan="p" * 64, code="c" * 64, kernel="2.0.0", inputs=[]),
    }  # fmt: skip
    return VersionView.model_validate(fields | given)


def report(*checks: Check) -> Report:
    return Report(against="1.2", checks=list(checks))


def test_a_held_version_shows_each_check_with_examples_and_what_may_be_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_version(version(state="held", report=report(PASSED, KEY, DRIFT)))
    assert capsys.readouterr().out.splitlines() == [
        "quotes.bars 1.3 is held (snapshot snp_1, 1 row, 2.5 kB)",
        "from job job_1, plan pppppppppppp, code cccccccccccc",
        "passed    not_null: No null in 'n'.",
        "HELD      key: 证券 does not name each row once.",
        "  1 key names several rows",
        "    证券 = 平安\\x1b[31m: 2 rows",
        "HELD      drift: 10 rows after 1,000. (may be accepted with a reason)",
    ]


def test_what_was_accepted_is_held_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    stable = version(state="stable", report=report(DRIFT), reason="half of them were duplicates")
    print_version(stable)
    assert "accepted  drift: 10 rows after 1,000.\n" in capsys.readouterr().out
    print_versions([stable])
    assert capsys.readouterr().out.splitlines()[-1].endswith("half of them were duplicates")


@pytest.mark.parametrize(
    ("decision", "says"),
    [("granted", "has agreed"), ("refused", "does not agree"), ("waiting", "is asked")],
)
def test_what_an_owner_answered_reads_as_a_sentence(
    decision: Any, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    consent = Consent(site="core", lake="bank", dataset="payments", decision=decision, reason="its policy")
    print_version(version(consents=[consent]))
    assert f"  the owner of bank.payments {says}: its policy\n" in capsys.readouterr().out


def test_columns_line_up_behind_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_products(
        [
            ProductSummary(
                name=name, title=title, owner="ana", visibility="listed", stable="1.0", rows=rows, published_at=AT,
                retired_at=None,
            )
            for name, title, rows in (("quotes.bars", "日线行情", 1000), ("quotes.minutes", "Minutes", 7))
        ]
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    heading, _, *rows = lines
    begins = [cell_len(heading[: heading.index("owner")]), *(cell_len(row[: row.index("ana")]) for row in rows)]
    assert len(set(begins)) == 1
    assert [row.split()[-3] for row in rows] == ["1,000", "7"]


def test_the_versions_table_says_why_one_is_not_served(capsys: pytest.CaptureFixture[str]) -> None:
    failed = problem_of(ResultExpired(job="job_1", expired_at="2026-11-22"))
    found = [
        version(version="1.5", state="failed", rows=None, bytes=None, problem=failed),
        version(version="1.4", state="held", report=report(KEY, DRIFT)),
        version(version="1.3", state="staged", report=report(PASSED)),
    ]
    print_versions(found)
    [_, _, *lines] = capsys.readouterr().out.splitlines()
    assert [line.rpartition("job_1")[2].strip() for line in lines] == ["result_expired", "key, drift", ""]


def test_a_product_says_what_it_promises_and_who_gets_what(capsys: pytest.CaptureFixture[str]) -> None:
    print_product(
        ProductView(
            name="quotes.bars", title="日线", description="# Bars\n\x1b]0;harm\x07", owner="ana", visibility="listed",
            contract=Contract(key=["k"], session="d", calendar="XSHG", drift=0.05, freshness=Freshness(at_most=1)),
            readers=["group:quants"], sample=Sample(), keep=10, created_at=AT, retired_at=None, versions=1,
            channels=[
                ChannelView(channel="canary", version="1.3", snapshot="snp_1", since=AT, share=0.1, labels=["beta"])
            ],
        )
    )  # fmt: skip
    out = capsys.readouterr().out
    assert "key k; sessions by d of XSHG; row count within 5%; newest session at most 1 session old\n" in out
    assert "canary: 1.3 (snp_1) since 2026-11-23 16:30, 10% of callers, groups beta\n" in out
    assert "\n1 version; 10 are kept beside the channels'\n\n# Bars\n\\x1b]0;harm\\x07\n" in out


@pytest.mark.parametrize(
    ("checks", "remedy"),
    [
        ((DRIFT,), "`datacanal product promote quotes.bars --version 1.3 --accept drift --reason TEXT` accepts it."),
        ((DRIFT, KEY), "publish a job whose rows keep the contract, or publish it with --major."),
    ],
)
def test_a_held_version_is_told_with_the_way_on(checks: tuple[Check, ...], remedy: str) -> None:
    error = held_error(version(state="held", report=report(PASSED, *checks)))
    assert error.remedy.endswith(remedy)
    assert "held by its contract: drift" in str(error)
