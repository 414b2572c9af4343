"""Functions as they are declared, checked and packed before anything is sent."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from datacanal.client import Client, PythonJob
from datacanal.domain.errors import BadArgument, BadField, FunctionNotSendable
from datacanal.protocol.public import JobRequest
from datacanal.testing.fake_service import TOKEN, FakeService, fake_job

if TYPE_CHECKING:
    from nowhere import JobContext

LOCK = threading.Lock()
RATE = 1.5
BIG = b"x" * 600_000


class ServiceThatKeepsRequests(FakeService):
    """`bodies` are what was sent to submit."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def submit(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        job = fake_job("job_1", "score")
        self.jobs[job.id] = job
        return self.answer(job, 202)


@pytest.fixture
def service() -> ServiceThatKeepsRequests:
    return ServiceThatKeepsRequests()


@pytest.fixture
def client(service: ServiceThatKeepsRequests) -> Iterator[Client]:
    with Client("http://service", TOKEN, transport=service) as client:
        yield client


def declared(client: Client, function: Callable[..., Any], **terms: Any) -> PythonJob:
    return client.job(**{"site": "core", "columns": {"n": "BIGINT"}, **terms})(function)


def sent(service: ServiceThatKeepsRequests) -> JobRequest:
    return JobRequest.model_validate_json(service.bodies[-1])


def unpickled(request: JobRequest) -> Any:
    assert request.python is not None
    return pickle.loads(base64.b64decode(request.python.code))  # noqa: S301  # this very test pickled it


def helped(amount: float) -> float:
    return amount * RATE


def score(ctx: JobContext, year: int, region: str = "Praha", since: date | None = None) -> pa.Table:
    """The context's type is one that only a type checker knows."""
    return pa.table({"n": [helped(year)], "region": [region], "since": [since]})


def test_a_declared_function_is_still_the_plain_function(client: Client) -> None:
    job = declared(client, score)
    assert job(None, 1998).to_pylist() == [{"n": 2997.0, "region": "Praha", "since": None}]
    assert (job.__name__, job.__doc__) == ("score", score.__doc__)


def test_submitting_sends_the_function_its_terms_and_every_parameter(
    client: Client, service: ServiceThatKeepsRequests
) -> None:
    columns = {"region": "VARCHAR", "n": "DOUBLE"}
    job = declared(
        client, score, columns=columns, datasets=["transactions.payments"], inputs={"people": "FROM people"},
        workers=2, memory="2GiB", image=f"sha256:{'0' * 64}", timeouts={"run_timeout_s": 60}, purpose="scoring",
    )  # fmt: skip
    assert client.submit(job, year=np.int64(1997), since=date(2024, 2, 29)).id == "job_1"
    request = sent(service)
    assert (request.kind, request.sql, request.purpose) == ("python", "", "scoring")
    assert request.timeouts.run_timeout_s == 60
    assert request.params == {"year": 1997, "region": "Praha", "since": "2024-02-29"}
    python = request.python
    assert python is not None
    assert (python.site, python.name, python.workers, python.memory) == ("core", "score", 2, "2GiB")
    assert python.image == f"sha256:{'0' * 64}"
    assert python.parameters == {"year": "int", "region": "str", "since": "date | None"}
    assert list(python.columns.items()) == list(columns.items())
    assert (python.datasets, python.inputs) == (["transactions.payments"], {"people": "FROM people"})
    assert python.environment.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert python.environment.packages == {"pyarrow": version("pyarrow")}
    assert python.source.startswith("def score(ctx: JobContext, year: int")
    assert "def helped(amount: float)" in python.source
    assert unpickled(request)(None, 2).to_pylist()[0]["n"] == 3.0


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({}, "year", "it has no value"),
        ({"year": "1997"}, "year", "'1997' (str) was given, int is needed"),
        ({"year": 1.5}, "year", "1.5 (float) was given, int is needed"),
        ({"year": 1997, "region": None}, "region", "None (NoneType) was given, str is needed"),
        ({"year": 1997, "since": "2024-02-29"}, "since", "date | None is needed"),
        ({"year": 1997, "month": 2}, "month", "no such parameter"),
    ],
)
def test_wrong_missing_and_unknown_parameters_are_refused_before_anything_is_sent(
    client: Client, service: ServiceThatKeepsRequests, given: dict[str, Any], name: str, words: str
) -> None:
    with pytest.raises(BadArgument, match="score") as refusal:
        client.submit(declared(client, score), **given)
    assert refusal.value.data["name"] == name
    assert words in refusal.value.detail
    assert refusal.value.remedy == "Its parameters are: year: int, region: str, since: date | None."
    assert service.bodies == []


def no_context() -> None: ...
def untyped(ctx: Any, year) -> None: ...  # type: ignore[no-untyped-def]  # what is tested
def starred(ctx: Any, *years: int) -> None: ...
def keywords(ctx: Any, **years: int) -> None: ...
def unknown_type(ctx: Any, table: dict[str, int]) -> None: ...
def undefined_type(ctx: Any, table: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # what is tested
def bad_default(ctx: Any, year: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013  # what is tested


@pytest.mark.parametrize(
    "function", [no_context, untyped, starred, keywords, unknown_type, undefined_type, bad_default, lambda _: None, 3]
)
def test_a_function_whose_parameters_cannot_be_sent_is_refused_where_it_is_declared(
    client: Client, function: Any
) -> None:
    with pytest.raises(BadField):
        declared(client, function)


@pytest.mark.parametrize(
    "terms", [{}, {"site": "core"}, {"columns": {"n": "BIGINT"}}, {"site": "core", "columns": {}},
              {"site": "core", "columns": ["n"]}]
)  # fmt: skip
def test_terms_that_are_missing_are_named(client: Client, terms: Any) -> None:
    with pytest.raises(BadField):
        client.job(**terms)(score)


def test_submitting_what_was_not_declared_says_what_to_put_above_it(client: Client) -> None:
    with pytest.raises(BadField, match=r"score was not declared; put @client\.job"):
        client.submit(score, year=1997)  # type: ignore[arg-type]  # what is tested


def test_fields_that_the_service_would_refuse_are_refused_here(client: Client) -> None:
    with pytest.raises(BadField, match="workers"):
        client.submit(declared(client, score, workers=1000), year=1997)


def locked(ctx: Any) -> object:
    return LOCK


def test_what_cannot_be_pickled_is_named(client: Client, service: ServiceThatKeepsRequests) -> None:
    with pytest.raises(FunctionNotSendable) as refusal:
        client.submit(declared(client, locked))
    assert "the variable 'LOCK' that it uses (a _thread.lock) cannot be pickled" in refusal.value.detail
    assert refusal.value.remedy.startswith("Make 'LOCK' inside the function")
    assert service.bodies == []


def heavy(ctx: Any) -> int:
    return len(BIG)


def test_a_function_that_carries_a_table_along_is_refused(client: Client) -> None:
    with pytest.raises(FunctionNotSendable, match="the limit is 524288") as refusal:
        client.submit(declared(client, heavy))
    assert "ctx" in refusal.value.remedy


def framed(ctx: Any) -> object:
    import polars  # a function may import what its site has

    inner = [np.sqrt(each) for each in (1, 4)]
    return pd.DataFrame({"n": inner}), polars.DataFrame, json.dumps({}), Decimal(1)


def test_the_environment_holds_what_the_function_imports_and_nothing_else(
    client: Client, service: ServiceThatKeepsRequests
) -> None:
    client.submit(declared(client, framed))
    python = sent(service).python
    assert python is not None
    assert python.environment.packages == {name: version(name) for name in ("numpy", "pandas", "polars")}


HELPERS = """
import numpy as np

SCALE = 10


class Scaler:
    def __init__(self, by):
        self.by = by

    @property
    def twice(self):
        return int(np.int64(self.by) * 2)


def scaled(value):
    return value * SCALE + Scaler(value).twice
"""


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two files of the author's own beside the notebook."""
    (tmp_path / "anas_helpers.py").write_text(HELPERS)
    (tmp_path / "anas_jobs.py").write_text(
        "import anas_helpers\nfrom anas_helpers import scaled\n\n\n"
        "def by_name(ctx, n: int):\n    return anas_helpers.scaled(n)\n\n\n"
        "def by_import(ctx, n: int):\n    return scaled(n)\n\n\n"
        "class Step:\n    def __init__(self, work):\n        self.work = work\n\n\nSTEP = Step(scaled)\n\n\n"
        "def by_object(ctx, n: int):\n    return STEP.work(n)\n\n\n"
        "def inside(ctx, n: int):\n    import anas_helpers\n\n    return anas_helpers.scaled(n)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("anas_helpers", "anas_jobs"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["by_name", "by_import", "by_object"])
def test_the_authors_own_files_go_along(
    client: Client, service: ServiceThatKeepsRequests, helpers: Path, name: str
) -> None:
    client.submit(declared(client, getattr(importlib.import_module("anas_jobs"), name)), n=3)
    python = sent(service).python
    assert python is not None
    assert python.environment.packages == {"numpy": version("numpy")}
    assert "def scaled(value)" in python.source
    # Elsewhere there is no such file.
    program = "import base64, pickle, sys; print(pickle.loads(base64.b64decode(sys.stdin.read()))(None, 3))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", input=python.code, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "36", done.stderr


def test_a_file_of_the_authors_own_that_is_imported_inside_the_function_is_named(client: Client, helpers: Path) -> None:
    with pytest.raises(FunctionNotSendable, match="imports 'anas_helpers' inside") as refusal:
        client.submit(declared(client, importlib.import_module("anas_jobs").inside), n=3)
    assert "at the top" in refusal.value.remedy


def test_a_function_without_a_file_says_so_in_its_source(client: Client, service: ServiceThatKeepsRequests) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def made(ctx, n: int):\n    return n", names)  # noqa: S102  # what is tested
    client.submit(declared(client, names["made"]), n=1)
    python = sent(service).python
    assert python is not None
    assert python.source == "# The source of made is not to be had: it was not read from a file or a cell."


def test_a_declared_function_may_call_another_and_itself(client: Client, service: ServiceThatKeepsRequests) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(  # noqa: S102  # as in a notebook, where a declared function takes the function's name
        "def half(ctx, n: int):\n    return n // 2\n\n\n"
        "def steps(ctx, n: int):\n    return 0 if n == 0 else 1 + steps(ctx, half(ctx, n))",
        names,
    )
    names["half"] = declared(client, names["half"])
    names["steps"] = declared(client, names["steps"])
    client.submit(names["steps"], n=8)
    assert unpickled(sent(service))(None, 8) == 4


def test_the_same_function_packs_into_the_same_digest(client: Client) -> None:
    digests = {hashlib.sha256(declared(client, score).request()["code"].encode()).digest() for _ in range(3)}
    assert len(digests) == 1
