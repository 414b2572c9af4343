"""Every mistake with a Python job has its code and its remedy, and leaves no container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.e2e.boxes import left_of_jobs, sent
from tests.e2e.probes import floods, mistakes
from tests.e2e.service import Service, Settings
from tests.e2e.test_containers import boxed_service
from tests.launching import Boxes

from datacanal.client import Client, baggage
from datacanal.client.job import Job
from datacanal.domain.errors import BadArgument, DatacanalError, FunctionNotSendable

pytestmark = [pytest.mark.docker, pytest.mark.timeout(200)]


@dataclass(frozen=True)
class Mistake:
    """A function, how it is declared, the code of its failure, and a word of detail or remedy."""

    function: Any
    code: str
    word: str
    terms: Mapping[str, Any] = field(default_factory=dict)


AT_THE_SITE = {
    "returns no table": Mistake(mistakes.no_table, "python_returned_no_table", "Return a pyarrow Table"),
    "returns another column": Mistake(mistakes.other_columns, "contract_broken", "n INTEGER"),
    "returns another type": Mistake(mistakes.other_types, "contract_broken", "n INTEGER"),
    "raises": Mistake(mistakes.raises, "python_raised", "'core'"),
    "writes to the lake": Mistake(
        mistakes.write_to_the_lake, "python_raised", "'core'", {"datasets": ["transactions.payments"]}
    ),
    "reads an undeclared dataset": Mistake(
        mistakes.undeclared, "python_raised", "'core'", {"datasets": ["transactions.payments"]}
    ),
    "takes too long": Mistake(mistakes.slow, "timeout", "run_timeout_s", {"timeouts": {"run_timeout_s": 8}}),
    "takes too much memory": Mistake(floods.memory, "out_of_memory", str(384 * 2**20), {"memory": "384MiB"}),
    "fills its disk": Mistake(floods.disk, "out_of_disk", "/tmp", {"memory": "1GiB"}),  # noqa: S108  # its own
}
AT_SUBMISSION = {
    "reads a dataset of another site": Mistake(
        mistakes.no_table, "policy_python_refused", "inputs={", {"datasets": ["users.people"]}
    ),
    "reads a dataset that is not there": Mistake(
        mistakes.no_table, "dataset_not_found", "transactions.nothing", {"datasets": ["transactions.nothing"]}
    ),
    "an input with a mistake": Mistake(
        mistakes.no_table, "column_not_found", "'people'", {"inputs": {"people": "SELECT nobody FROM users.people"}}
    ),
    "a site that is not there": Mistake(mistakes.no_table, "bad_function", "core, crm", {"site": "nowhere"}),
    "columns of no type": Mistake(mistakes.no_table, "bad_function", "NUMBERS", {"columns": {"n": "NUMBERS"}}),
    "memory of no size": Mistake(mistakes.no_table, "bad_function", "python.memory", {"memory": "much"}),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sample_lakes: dict[str, Path]) -> Iterator[Service]:
    sites = {"core": {"transactions": sample_lakes["transactions"]}, "crm": {"users": sample_lakes["users"]}}
    settings = Settings(backend="docker", memory="640MiB")
    with boxed_service(tmp_path_factory.mktemp("careless"), sites, settings) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def at_the_site(service: Service) -> Iterator[dict[str, Job]]:
    """All jobs whose mistake shows at the site, submitted one after the other without waiting."""
    with service.client() as client:
        yield {name: sent(client, mistake.function, **mistake.terms) for name, mistake in AT_THE_SITE.items()}


@pytest.mark.parametrize("name", AT_THE_SITE)
def test_a_function_with_a_mistake_fails_by_its_name(at_the_site: dict[str, Job], name: str) -> None:
    problem = at_the_site[name].wait(150).view.problem
    mistake = AT_THE_SITE[name]
    assert problem is not None
    assert problem.code == mistake.code
    assert mistake.word in f"{problem.detail} {problem.remedy}"


@pytest.mark.parametrize("name", AT_SUBMISSION)
def test_what_can_be_seen_at_once_is_refused_at_once(client: Client, name: str) -> None:
    mistake = AT_SUBMISSION[name]
    columns = mistake.terms.get("columns")
    terms = {key: value for key, value in mistake.terms.items() if key != "columns"}
    error = failure_of(lambda: sent(client, mistake.function, columns, **terms).wait(60))
    assert error.code == mistake.code
    assert mistake.word in f"{error.detail} {error.remedy}"


def failure_of(work: Any) -> Any:
    """What was raised, or why the job failed."""
    try:
        job = work()
    except DatacanalError as error:
        return error
    assert job.view.problem is not None, job.state
    return job.view.problem


def test_a_parameter_of_the_wrong_type_is_not_even_sent(client: Client) -> None:
    with pytest.raises(BadArgument, match="year") as refused:
        sent(client, mistakes.of_year, params={"year": "this one"})
    assert "year: int" in refused.value.remedy


def test_a_function_that_cannot_be_pickled_is_not_sent_and_says_why(client: Client) -> None:
    with pytest.raises(FunctionNotSendable, match="LOCK") as refused:
        sent(client, mistakes.locked)
    assert "Make 'LOCK' inside the function" in refused.value.remedy


def test_another_version_of_a_package_is_named_with_the_sites(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baggage, "version", lambda _: "0.0.1")
    error = failure_of(lambda: sent(client, mistakes.of_year, params={"year": 1}).wait(60))
    assert error.code == "environment_differs"
    assert "pyarrow 0.0.1 (there " in error.detail


def test_the_right_one_runs_after_all_that_and_no_container_is_left(
    service: Service, client: Client, at_the_site: dict[str, Job]
) -> None:
    assert all(job.wait(150).is_finished for job in at_the_site.values())
    assert sent(client, mistakes.of_year, params={"year": 2025}).to_arrow()["n"].to_pylist() == [2025]
    with closing(docker.from_env()) as engine:
        assert left_of_jobs(Boxes(service.configuration, engine)) == []


UNREADY = {
    "an image that is not there": ({"image": "datacanal-worker:never-built"}, "image_not_found", "never-built"),
    "an engine that is not there": (
        {"docker_host": "unix:///run/datacanal-no-engine.sock"},
        "container_engine_unreachable",
        "unix:///run/datacanal-no-engine.sock",
    ),
}


@pytest.mark.parametrize("case", UNREADY)
def test_a_site_that_cannot_run_containers_says_what_it_lacks(
    tmp_path: Path, sample_lakes: dict[str, Path], case: str
) -> None:
    given, code, word = UNREADY[case]
    sites = {"core": {"transactions": sample_lakes["transactions"]}}
    with (
        boxed_service(tmp_path, sites, Settings(backend="docker", memory="640MiB", **given)) as service,
        service.client() as client,
    ):
        problem = sent(client, mistakes.of_year, params={"year": 1}).wait(90).view.problem
        assert problem is not None
        assert problem.code == code
        assert word in problem.detail
        assert problem.remedy
