"""The whole service as its users meet it: `datacanal up`, the command line and the Python client."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pytest

from datacanal.cli.demo.service import free_layout, running_service
from datacanal.cli.init import make_directory
from datacanal.cli.main import run
from datacanal.client import Client
from datacanal.configuration import load_configuration
from datacanal.domain.errors import DatacanalError

CROSS = (
    "SELECT c.name, sum(p.amount) AS total "
    "FROM transactions.payments AS p JOIN users.customers AS c USING (customer_id) GROUP BY c.name ORDER BY c.name"
)
ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100000000) SELECT count(*) FROM t"
GONE_WITHIN_S = 10


def make_lakes(directory: Path) -> None:
    """Two small datasets, one in each lake."""
    with duckdb.connect() as connection:
        for dataset, sql in {
            "transactions/payments": "SELECT i AS payment_id, i % 3 AS customer_id, (i / 4)::DECIMAL(9, 2) AS amount "
            "FROM range(1000) AS t(i)",
            "users/customers": "SELECT * FROM (VALUES (0, 'Žofie'), (1, '欧阳'), (2, 'Ann')) AS t(customer_id, name)",
        }.items():
            (directory / "lakes" / dataset).mkdir(parents=True)
            connection.execute(f"COPY ({sql}) TO '{directory / 'lakes' / dataset / 'part.parquet'}' (FORMAT parquet)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running service over two small lakes; gives its directory."""
    directory = tmp_path_factory.mktemp("service") / "bank"
    configuration = make_directory(directory, free_layout())
    make_lakes(directory)
    with running_service(configuration):
        yield directory


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands of this process talk to the service."""
    monkeypatch.setenv("DATACANAL_URL", load_configuration(home / "datacanal.toml").control_url)
    monkeypatch.setenv("DATACANAL_HOME", str(home / "state"))
    monkeypatch.delenv("DATACANAL_TOKEN", raising=False)
    return home


@pytest.fixture
def client(at_home: Path) -> Iterator[Client]:
    with Client() as made:
        yield made


def test_a_question_over_both_lakes_is_answered(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sql", CROSS, "--stats", str(at_home / "stats.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["Ann", "Žofie", "欧阳"]
    stats = json.loads((at_home / "stats.json").read_text())
    assert stats["bytes_moved"] == sum(transfer["bytes_wire"] for transfer in stats["transfers"]) > 0


def test_all_formats_hold_the_same_rows(client: Client, tmp_path: Path) -> None:
    job = client.sql(CROSS)
    rows = [(row["name"], row["total"]) for row in job.to_arrow().to_pylist()]
    assert len(rows) == 3
    parquet = duckdb.connect().read_parquet(str(job.result_to(tmp_path / "a.parquet"))).fetchall()
    assert parquet == rows
    with job.download("csv") as stream:
        text = io.TextIOWrapper(io.BytesIO(stream.read()), "utf-8", newline="")
    assert [row[0] for row in csv.reader(text)] == ["name", *(name for name, _ in rows)]
    document = json.loads(job.result_to(tmp_path / "a.json", "json").read_text("utf-8"))
    assert [row["name"] for row in document] == [name for name, _ in rows]


def test_frames_and_batches_hold_the_same_rows(client: Client) -> None:
    job = client.sql(
        "SELECT payment_id FROM payments WHERE payment_id < $least ORDER BY payment_id", params={"least": 10}
    )
    assert job.to_pandas()["payment_id"].tolist() == list(range(10))
    assert job.to_polars()["payment_id"].to_list() == list(range(10))
    assert pa.Table.from_batches(job).num_rows == 10


def test_a_plan_is_shown_without_running(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", CROSS]) == 0
    assert "people" in capsys.readouterr().out
    assert run(["explain", CROSS, "--json"]) == 0
    assert {step["kind"] for step in json.loads(capsys.readouterr().out)["steps"]} == {"scan", "query"}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELEC 1", "sql_"),
        ("SELECT * FROM transactions.paiments", "payments"),
        ("SELECT amout FROM transactions.payments", "amount"),
        ("COPY (SELECT 1) TO '/tmp/x'", "sql_"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
        ("SELECT 1; SELECT 2", "sql_"),
        ("SELECT $missing", "missing"),
    ],
)
def test_a_statement_that_cannot_run_is_refused_with_its_cause(
    statement: str, words: str, at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sql", statement]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) >= 2


def test_a_job_that_fails_gives_one_and_its_code(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sql", "SELECT CAST(name AS INTEGER) FROM customers"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("conversion_failed")
    assert "Žofie" not in error


def test_the_catalogue_is_listed(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["site", "list"], ["lake", "list"], ["dataset", "list"], ["dataset", "show", "users.customers"]):
        assert run(command) == 0
    out = capsys.readouterr().out
    assert "transactions.payments" in out
    assert "customer_id" in out


def test_an_imported_file_is_a_dataset_after_a_refresh(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = at_home / "cities.csv"
    file.write_bytes("id;city\n1;上海\n2;成都\n".encode("gb18030"))
    options = ["--lake", "users", "--name", "cities", "--encoding", "gb18030", "--delimiter", ";"]
    assert run(["dataset", "import", "--config", str(at_home / "datacanal.toml"), str(file), *options]) == 0
    assert run(["dataset", "refresh", "users.customers"]) == 0
    assert run(["sql", "SELECT city FROM users.cities ORDER BY id", "--format", "csv"]) == 0
    assert list(csv.reader(capsys.readouterr().out.splitlines()))[-3:] == [["city"], ["上海"], ["成都"]]


def test_a_revoked_token_opens_nothing(at_home: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = client.create_token("alice", "analyst")
    monkeypatch.setenv("DATACANAL_TOKEN", made.secret)
    assert run(["dataset", "list"]) == 0
    assert run(["token", "list"]) == 2
    client.revoke_token(made.token.id)
    assert run(["dataset", "list"]) == 2


def test_the_events_of_a_job_lead_to_its_end(client: Client) -> None:
    events = list(client.sql("SELECT count(*) FROM payments").events())
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert "succeeded" in events[-1].event


def test_ctrl_c_cancels_the_job_and_gives_130(at_home: Path, client: Client) -> None:
    process = subprocess.Popen([sys.executable, "-m", "datacanal.cli", "sql", ENDLESS], stderr=subprocess.PIPE)
    while not (found := [job for job in client.jobs(limit=5) if job.sql == ENDLESS and job.state == "running"]):
        client.sql("SELECT 1").wait()  # the next look, once the service has done something
    process.send_signal(signal.SIGINT)
    assert b"cancelling" in process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert client.job(found[0].id).state == "cancelled"


def test_a_cancelled_job_ends_and_says_so(client: Client) -> None:
    job = client.sql(ENDLESS)
    assert job.cancel().wait(timeout_s=30).state == "cancelled"
    with pytest.raises(DatacanalError):
        job.to_arrow()


def test_a_second_service_on_the_same_state_is_refused(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "--config", str(at_home / "datacanal.toml")]) == 2
    assert capsys.readouterr().err.startswith("already_running")


def up(configuration: Path) -> subprocess.Popen[str]:
    """A service started as a user does, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "datacanal.cli", "up", "--config", str(configuration)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready: ")
    return process


def end(process: subprocess.Popen[str], number: int) -> None:
    """Send the signal and see that nothing of the process is left within the promised time."""
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) > 3
    process.send_signal(number)
    process.communicate(timeout=GONE_WITHIN_S)
    _, alive = psutil.wait_procs(children, timeout=GONE_WITHIN_S)
    assert alive == []


def test_stopped_and_started_again_it_continues_where_it_was(tmp_path: Path) -> None:
    directory = tmp_path / "bank"
    configuration = make_directory(directory, free_layout())
    make_lakes(directory)
    url = load_configuration(configuration).control_url
    process = up(configuration)
    token = (directory / "state" / "admin.token").read_text().strip()
    with Client(url, token) as client:
        job = client.sql(CROSS)
        before = job.to_arrow()
    end(process, signal.SIGTERM)
    assert process.returncode == 0
    process = up(configuration)
    with Client(url, token) as client:
        assert client.job(job.id).to_arrow() == before
    end(process, signal.SIGKILL)
    process = up(configuration)
    with Client(url, token) as client:
        assert client.sql(CROSS).to_arrow() == before
    end(process, signal.SIGINT)


def test_a_port_that_is_taken_stops_the_start_with_its_name(
    at_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    layout = free_layout()
    configuration = make_directory(tmp_path / "other", layout)
    taken = load_configuration(at_home / "datacanal.toml").control.listen.rpartition(":")[2]
    configuration.write_text(configuration.read_text().replace(str(layout.control_port), taken))
    assert run(["up", "--config", str(configuration)]) == 2
    assert "port_in_use: control.listen" in capfd.readouterr().err
