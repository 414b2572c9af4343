"""Bad input of every sort gives a problem document (or exit code 2) that names cause and remedy, and loses nothing."""

from __future__ import annotations

import json
import shutil
import socket
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.e2e.service import Service, Settings, datacanal
from tests.plugins.services import StartService

from datacanal.cli.main import run
from datacanal.testing.sample import write_sample_lakes
from datacanal.testing.tasks import write_parquet

DEEP = "(" * 400 + "1" + ")" * 400

STATEMENTS = {
    "does not parse": ("SELEC 1", "sql_", "SELEC"),
    "ends early": ("SELECT (1", "sql_syntax", ""),
    "empty": ("", "sql_", ""),
    "unknown dataset": ("SELECT * FROM transactions.paymets", "dataset_not_found", "transactions.payments"),
    "unknown lake": ("SELECT * FROM transaction.payments", "dataset_not_found", "transactions.payments"),
    "unknown column": ("SELECT amont FROM transactions.payments", "column_not_found", "amount"),
    "unknown column of an alias": ("SELECT p.nam FROM users.people AS p", "column_not_found", "name"),
    "ambiguous column": ("SELECT account_id FROM payments, people", "column_ambiguous", "account_id"),
    "a dataset called order, bare": ("SELECT * FROM order", "sql_syntax", "order"),
    "COPY": ("COPY (SELECT 1) TO '/tmp/stolen.csv'", "sql_", "COPY"),
    "COPY inside a CTE": ("WITH x AS (COPY (SELECT 1) TO '/tmp/stolen.csv') SELECT 1", "sql_", ""),
    "ATTACH": ("ATTACH '/tmp/other.db' AS other", "sql_", "ATTACH"),
    "read_csv": ("SELECT * FROM read_csv('/etc/passwd')", "function_not_allowed", "read_csv"),
    "a file by its name": ("SELECT * FROM '/etc/passwd'", "dataset_not_found", "/etc/passwd"),
    "PRAGMA": ("PRAGMA version", "sql_", ""),
    "SET": ("SET memory_limit = '1TB'", "sql_", "SET"),
    "INSTALL": ("INSTALL httpfs", "sql_", "INSTALL"),
    "INSERT": ("INSERT INTO transactions.payments SELECT 1", "sql_", "INSERT"),
    "DROP": ("DROP TABLE transactions.payments", "sql_", "DROP"),
    "getenv": ("SELECT getenv('HOME')", "function_not_allowed", "getenv"),
    "query": ("SELECT * FROM query('SELECT 1')", "function_not_allowed", "query"),
    "two statements": ("SELECT 1; SELECT 2", "sql_", ""),
    "70 KiB": (f"SELECT '{'x' * 70 * 1024}'", "sql_too_long", "65536"),
    "400 parentheses": (f"SELECT {DEEP}", "sql_too_deep", ""),
    "types that do not fit": ("SELECT amount + made_at FROM payments", "sql_does_not_bind", ""),
    "a parameter without a value": ("SELECT $missing", "bad_parameter", "missing"),
    "corrupt Parquet": ("SELECT * FROM broken.corrupt", "dataset_unreadable", "corrupt"),
}


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bad")
    lakes = {**write_sample_lakes(root), "broken": root / "broken"}
    write_parquet(root / "transactions" / "order" / "part.parquet", "SELECT 7 AS order_id")
    (root / "broken" / "corrupt").mkdir(parents=True)
    (root / "broken" / "corrupt" / "part.parquet").write_bytes(b"PAR1" + b"\x00" * 64 + b"PAR1")
    return lakes


@pytest.fixture(scope="module")
def picky(start_service: StartService, lakes: dict[str, Path]) -> Service:
    return start_service(
        {"core": {"transactions": lakes["transactions"]}, "crm": {"users": lakes["users"], "broken": lakes["broken"]}}
    )


@pytest.fixture(scope="module")
def http(picky: Service) -> Iterator[httpx.Client]:
    with picky.http() as http:
        yield http


@pytest.fixture(autouse=True)
def nothing_is_lost(http: httpx.Client) -> Iterator[None]:
    """Whatever a test sent, the service answers the next question."""
    yield
    question = "SELECT count(*) FROM payments JOIN people ON true"
    answer = http.post("/v1/jobs/explain", json={"kind": "sql", "sql": question})
    assert answer.status_code == 200, answer.text


def problem(answer: httpx.Response) -> dict[str, object]:
    """The problem document of a refusal, with cause and remedy: 4xx, or 503 where the data's owner must act."""
    assert 400 <= answer.status_code < 500 or "dataset_unreadable" in answer.text, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    found: dict[str, object] = answer.json()
    assert found["detail"]
    assert found["remedy"]
    assert found["status"] == answer.status_code
    return found


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_statement_that_cannot_run_is_refused_over_http(http: httpx.Client, case: str) -> None:
    sql, code, word = STATEMENTS[case]
    answer = http.post("/v1/jobs/explain", json={"kind": "sql", "sql": sql})
    found = problem(answer)
    assert str(found["code"]).startswith(code), found
    assert word in f"{found['detail']} {found['remedy']}"


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_job_that_cannot_run_fails_with_its_cause(http: httpx.Client, case: str) -> None:
    sql, code, _ = STATEMENTS[case]
    answer = http.post("/v1/jobs", json={"kind": "sql", "sql": sql}, headers={"Idempotency-Key": uuid.uuid4().hex})
    if answer.status_code == 202:
        job = http.get(f"/v1/jobs/{answer.json()['id']}", params={"wait_s": 20}).json()
        assert job["state"] == "failed"
        found = job["problem"]
    else:
        found = problem(answer)
    assert str(found["code"]).startswith(code), found


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_statement_that_cannot_run_ends_the_command_with_its_cause(
    picky: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, case: str
) -> None:
    sql, code, word = STATEMENTS[case]
    monkeypatch.setenv("DATACANAL_URL", picky.url)
    monkeypatch.setenv("DATACANAL_TOKEN", picky.token)
    (tmp_path / "statement.sql").write_text(sql)
    expected = 1 if case == "corrupt Parquet" else 2
    assert run(["sql", "-f", str(tmp_path / "statement.sql")]) == expected
    said = capsys.readouterr().err
    assert said.startswith(code)
    assert word in said
    assert "Traceback" not in said


def test_a_dataset_called_order_can_be_asked_in_quotes(http: httpx.Client) -> None:
    answer = http.post("/v1/jobs/explain", json={"kind": "sql", "sql": 'SELECT order_id FROM transactions."order"'})
    assert answer.status_code == 200


# ---------------------------------------------------------------- the request itself


def sent(http: httpx.Client, body: bytes, **headers: str) -> dict[str, object]:
    return problem(http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json", **headers}))


BODIES = {
    "NaN": (b'{"kind": "sql", "sql": "SELECT $x", "params": {"x": NaN}}', "NaN"),
    "infinity": (b'{"kind": "sql", "sql": "SELECT $x", "params": {"x": -Infinity}}', "Infinity"),
    "a duplicate key": (b'{"kind": "sql", "sql": "SELECT 1", "sql": "SELECT 2"}', "sql"),
    "a lone surrogate": (b'{"kind": "sql", "sql": "SELECT \'\\ud800\'"}', "surrogate"),
    "an unknown field": (b'{"kind": "sql", "sql": "SELECT 1", "priority": 9}', "priority"),
    "a wrong type": (b'{"kind": "sql", "sql": 7}', "sql"),
    "a wrong kind": (b'{"kind": "bash", "sql": "SELECT 1"}', "kind"),
    "a timeout below zero": (b'{"kind": "sql", "sql": "SELECT 1", "timeouts": {"run_timeout_s": -1}}', "run_timeout_s"),
    "no JSON": (b"SELECT 1", ""),
    "cut JSON": (b'{"kind": "sql", "sql": "SELECT', ""),
    "no body": (b"", ""),
    "a list": (b"[]", ""),
    "not UTF-8": (b'{"kind": "sql", "sql": "\xff"}', ""),
    "absurd depth": (b'{"kind": "sql", "sql": "SELECT $x", "params": {"x": ' + b"[" * 5000 + b"]" * 5000 + b"}}", ""),
    "2 MiB": (b'{"kind": "sql", "sql": "' + b"x" * 2**21 + b'"}', "bytes"),
    "kinds to come": (b'{"kind": "python", "sql": ""}', "python"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_request_is_refused(http: httpx.Client, case: str) -> None:
    body, word = BODIES[case]
    found = sent(http, body)
    assert word in f"{found['detail']} {found['remedy']}", found


@pytest.mark.parametrize("text", ["SELECT '\\u0000'", "SELECT 1 \\u0000"])
def test_a_nul_is_refused(http: httpx.Client, text: str) -> None:
    body = f'{{"kind": "sql", "sql": "{text}"}}'.encode()
    answer = http.post("/v1/jobs/explain", content=body, headers={"Content-Type": "application/json"})
    assert "NUL" in str(problem(answer)["detail"])


def test_a_key_used_for_another_request_is_a_conflict(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "the-same-key"}
    first = http.post("/v1/jobs", json={"kind": "sql", "sql": "SELECT 1"}, headers=headers)
    again = http.post("/v1/jobs", json={"kind": "sql", "sql": "SELECT 1"}, headers=headers)
    other = http.post("/v1/jobs", json={"kind": "sql", "sql": "SELECT 2"}, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409
    assert problem(other)["code"] == "idempotency_conflict"


@pytest.mark.parametrize("path", ["/v1/jobs/job_nothing", "/v1/datasets/no.where", "/v1/nothing", "/v1/jobs/%00"])
def test_what_does_not_exist_is_a_404(http: httpx.Client, path: str) -> None:
    assert problem(http.get(path))["status"] == 404


# ---------------------------------------------------------------- tokens


def made_token(http: httpx.Client, name: str, **fields: object) -> dict[str, object]:
    answer = http.post("/v1/tokens", json={"name": name, "role": "analyst", **fields})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, object] = answer.json()
    return found


def revoked(http: httpx.Client) -> str:
    made = made_token(http, "revoked")
    token = made["token"]
    assert isinstance(token, dict)
    http.delete(f"/v1/tokens/{token['id']}").raise_for_status()
    return f"Bearer {made['secret']}"


def expired(http: httpx.Client) -> str:
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    made = made_token(http, "expired", expires=soon.isoformat())
    authorization = f"Bearer {made['secret']}"
    while datetime.now(UTC) <= soon or http.get("/v1/jobs", headers={"Authorization": authorization}).is_success:
        assert datetime.now(UTC) < soon + timedelta(seconds=10)
    return authorization


TOKENS: dict[str, Callable[[httpx.Client], str]] = {
    "missing": lambda _: "",
    "wrong": lambda _: "Bearer dc_wrong",
    "another scheme": lambda _: "Basic YWRtaW46YWRtaW4=",
    "expired": expired,
    "revoked": revoked,
}


@pytest.mark.parametrize("case", TOKENS)
def test_a_token_that_proves_nothing_is_refused(picky: Service, http: httpx.Client, case: str) -> None:
    authorization = TOKENS[case](http)
    headers = {"Authorization": authorization} if authorization else {}
    with httpx.Client(base_url=picky.url, headers=headers, trust_env=False) as stranger:
        answer = stranger.post("/v1/jobs", json={"kind": "sql", "sql": "SELECT 1"})
    assert answer.status_code == 401
    assert problem(answer)["code"] == "unauthenticated"


def test_a_role_may_only_do_its_own(picky: Service, http: httpx.Client) -> None:
    secret = made_token(http, "analyst")["secret"]
    with picky.http(token=str(secret)) as analyst:
        answer = analyst.post("/v1/tokens", json={"name": "mine", "role": "admin"})
    assert answer.status_code == 403
    assert problem(answer)["code"] == "forbidden"


# ---------------------------------------------------------------- what `up` is given


@pytest.fixture
def directory(tmp_path: Path, lakes: dict[str, Path]) -> Service:
    """A service that is configured, not started."""
    copies = {lake: tmp_path / lake for lake in ("transactions", "users")}
    for lake, folder in copies.items():
        shutil.copytree(lakes[lake], folder)
    return Service(tmp_path / "home", {"core": copies}, Settings())


def refused(service: Service, *words: str, timeout_s: float = 40) -> None:
    """`up` ends with code 2 and says why."""
    done = datacanal("up", "--config", str(service.configuration), timeout_s=timeout_s)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert [word for word in words if word not in said] == [], said
    assert "Traceback" not in said
    assert service.left_after(10) == []


def test_an_unreadable_lake_keeps_the_service_from_starting(directory: Service) -> None:
    shutil.rmtree(directory.sites["core"]["users"])
    refused(directory, "'users'", "cannot be read")


def test_a_policy_without_a_default_class_keeps_the_service_from_starting(directory: Service) -> None:
    (directory.home / "users.policy.toml").write_text("[datasets.payments]\n")
    refused(directory, "bad_policy", "users.policy.toml", "default_class")


def test_a_port_in_use_keeps_the_service_from_starting(directory: Service) -> None:
    port = int(directory.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        refused(directory, "port_in_use", str(port))


def test_an_unknown_configuration_key_keeps_the_service_from_starting(directory: Service) -> None:
    directory.configuration.write_text(directory.configuration.read_text() + "\n[sites.poool]\nworkers = 2\n")
    refused(directory, "bad_configuration", "poool")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('url = "file://', 'url = "s3://', ("not_available", "url")),
        ('database = "sqlite"', 'database = "mysql://db/x"', ("bad_configuration", "database")),
        ("workers = 1", "workers = 0", ("bad_configuration", "workers")),
        ("[control]", "[control", ("bad_configuration", "TOML")),
        ('"1GiB"', '"much"', ("bad_configuration", "memory")),
    ],
)
def test_a_bad_configuration_is_refused_before_anything_starts(
    directory: Service, old: str, new: str, words: tuple[str, ...]
) -> None:
    text = directory.configuration.read_text()
    assert old in text
    directory.configuration.write_text(text.replace(old, new, 1))
    refused(directory, *words)


def test_a_second_up_on_the_same_state_is_refused(picky: Service) -> None:
    done = datacanal("up", "--config", str(picky.configuration))
    assert done.returncode == 2
    assert "already_running" in done.stderr
    assert json.loads(httpx.get(f"{picky.url}/v1/health", trust_env=False).text)["status"] == "ready"
