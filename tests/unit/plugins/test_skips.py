"""Skips are listed with their reason, and required ones fail the run."""

import pytest
from tests.plugins import skips

CONFTEST = 'pytest_plugins = ["tests.plugins.skips"]'
TESTS = """
    import pytest

    @pytest.mark.berka
    def test_one():
        pytest.skip("no bank data here")

    @pytest.mark.berka
    def test_two():
        pytest.skip("no bank data here")

    @pytest.mark.skip(reason="a long run")
    def test_three():
        pass

    def test_four():
        pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv(skips.VARIABLE, raising=False)
    pytester.makeini("[pytest]\nmarkers =\n    berka: needs bank data\n    tpch: needs TPC-H\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    return pytester


def test_every_run_ends_with_what_was_skipped_and_why(project: pytest.Pytester) -> None:
    result = project.runpytest()
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["*what was skipped and why*", "*1 × a long run", "*2 × no bank data here"])


def test_what_is_required_may_not_be_skipped(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(skips.VARIABLE, "tpch, berka")
    result = project.runpytest()
    result.assert_outcomes(passed=1, skipped=1, failed=2)
    result.stdout.fnmatch_lines(["*DATACANAL_REQUIRE forbids skipping berka: no bank data here*"])


def test_requiring_what_does_not_exist_is_an_error(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(skips.VARIABLE, "bearka")
    result = project.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*names bearka, which is no marker*"])


def test_a_run_that_skips_nothing_says_so(project: pytest.Pytester) -> None:
    result = project.runpytest("-k", "four")
    result.stdout.fnmatch_lines(["*what was skipped and why*", "nothing"])
