"""Skips are said aloud: every run ends with what was skipped and why, and what is required may not be skipped.

`DATACANAL_REQUIRE=berka,tpch` names markers. A test with one of them that is skipped fails instead.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

VARIABLE = "DATACANAL_REQUIRE"
_REQUIRED = pytest.StashKey[frozenset[str]]()


def pytest_configure(config: pytest.Config) -> None:
    required = frozenset(name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
    known = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    if unknown := sorted(required - known):
        raise pytest.UsageError(f"{VARIABLE} names {', '.join(unknown)}, which is no marker of these tests")
    config.stash[_REQUIRED] = required


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = [name for name in item.config.stash[_REQUIRED] if item.get_closest_marker(name)]
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{VARIABLE} forbids skipping {required[0]}: {_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.section("what was skipped and why")
    if not reasons:
        terminalreporter.line("nothing")
    for reason, times in sorted(reasons.items()):
        terminalreporter.line(f"{times:5} × {reason}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
