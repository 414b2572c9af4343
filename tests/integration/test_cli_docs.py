"""What the guides show really works: every command, statement and line of Python, over the sample lakes."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from datacanal.cli.demo.lakes import SampleSize, ensure_lakes
from datacanal.cli.demo.service import free_layout, running_service
from datacanal.cli.init import make_directory
from datacanal.cli.main import run
from datacanal.client import Client
from datacanal.client.requests import statement_request
from datacanal.configuration import load_configuration
from datacanal.domain.tariff import total
from datacanal.gateway.webhook_signing import WebhookSecrets, signed
from datacanal.ledger.tariffs import prices_of
from datacanal.protocol.money import Tariff

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running service over small sample lakes; gives its directory."""
    directory = tmp_path_factory.mktemp("docs") / "bank"
    configuration = make_directory(directory, free_layout())
    ensure_lakes(directory / "lakes", SampleSize(scale=0.25))
    with running_service(configuration):
        yield directory


@pytest.fixture
def client(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    """In a folder of its own, with the variables that a user of this service sets."""
    monkeypatch.setenv("DATACANAL_URL", load_configuration(home / "datacanal.toml").control_url)
    monkeypatch.setenv("DATACANAL_HOME", str(home / "state"))
    monkeypatch.delenv("DATACANAL_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    with Client() as made:
        yield made


def blocks(guide: str, language: str) -> list[str]:
    """The code blocks of that language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", guide_text(guide), re.DOTALL | re.MULTILINE)


def guide_text(guide: str) -> str:
    """The guide as it is written."""
    return (DOCS / guide).read_text("utf-8")


def commands(guide: str) -> list[str]:
    """The shell commands, continued lines joined; without the ones that stay in the foreground."""
    lines = "".join(blocks(guide, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("datacanal ") and " up " not in line]


def run_command(command: str) -> None:
    """The command as a shell would hand it over, without paying for a new interpreter."""
    arguments = shlex.split(command.replace("\\$", "$"), comments=True)[1:]
    assert run(arguments) == 0, command


def test_the_commands_for_analysts_work(client: Client, tmp_path: Path) -> None:
    (tmp_path / "question.sql").write_text("SELECT count(*) FROM payments")
    job = client.sql("SELECT 1 AS one").wait()
    shown = commands("analyst.md")
    assert len(shown) > 10
    for command in shown:
        run_command(command.replace("JOB", job.id))
    assert (tmp_path / "answer.parquet").exists()


def test_the_commands_for_schedules_work(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands("schedules.md")
    assert len(shown) == 9
    for command in shown:
        run_command(command)
    said = capsys.readouterr().out
    assert "revenue: next" in said
    assert "America/New_York" in said
    assert [view.name for view in client.schedules.every()] == ["sessions"]


def test_a_scheduled_job_gives_the_answer_that_its_statement_gives(client: Client) -> None:
    statement = "SELECT count(*) AS n FROM transactions.payments"
    client.schedules.create("counted", "0 0 1 1 *", statement_request(statement))
    client.schedules.run("counted")
    while not (found := client.schedules.runs("counted"))[0].job:
        pass
    job = client.job(str(found[0].job))
    assert job.to_arrow() == client.sql(statement).to_arrow()
    while (found := client.schedules.runs("counted"))[0].finished_at is None:
        pass
    assert found[0].state == "succeeded"


def test_the_statements_for_analysts_find_what_was_planted(client: Client) -> None:
    ring, cohort, offer = (client.sql(text).to_arrow() for text in blocks("analyst.md", "sql"))
    assert set(ring["payer"].to_pylist()) >= set(ring["payee"].to_pylist())
    assert cohort["acquired_by"][0].as_py() == "web_partner"
    assert offer["campaign"][0].as_py() == "cashback"


def test_the_python_for_quants_works(client: Client, tmp_path: Path) -> None:
    known = client.sql("SELECT 1").wait().id
    text = "\n".join(blocks("quant.md", "python")).replace("job_…", known)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "quant.md", "exec"), names)  # noqa: S102  # our own guide
    names["client"].close()
    assert (tmp_path / "spent.parquet").exists()


def test_the_commands_for_operators_work(client: Client, tmp_path: Path) -> None:
    (tmp_path / "payments.csv").write_text("payment_id,amount\n1,2.50\n")
    made = client.create_token("temporary", "analyst").token.id
    shown = commands("operator.md")
    assert len(shown) > 8
    for command in shown:
        run_command(command.replace("tok_…", made))


def test_the_python_for_developers_knows_a_genuine_notice(tmp_path: Path) -> None:
    is_genuine = defined_in("developer.md", "is_genuine")
    secrets, body, now = WebhookSecrets(tmp_path), b'{"type":"webhook.test"}', datetime.now(UTC)
    secret = secrets.text_of("acc_1", 1)
    sent = signed(secrets.bytes_of("acc_1", 1), "ntc_1", now, body)
    assert is_genuine(secret, sent, body)
    assert is_genuine(secret, {**sent, "webhook-signature": f"v1,b3RoZXI= {sent['webhook-signature']}"}, body)
    assert not is_genuine(secret, sent, body + b" ")
    assert not is_genuine(secret, {**sent, "webhook-id": "ntc_2"}, body)
    assert not is_genuine(secrets.text_of("acc_1", 2), sent, body)
    old = signed(secrets.bytes_of("acc_1", 1), "ntc_1", now - timedelta(hours=1), body)
    assert not is_genuine(secret, old, body)


def test_the_examples_of_a_tariff_come_to_what_the_guide_says() -> None:
    offered = tomllib.loads(blocks("money.md", "toml")[0])
    rows = re.findall(r"^\| ([0-9,]+)(?:, `(.*?)`)? \|.* \| ([0-9,.]+) \|$", guide_text("money.md"), re.MULTILINE)
    assert len(rows) == 4
    for units, changed, amount in rows:
        prices = prices_of(Tariff.model_validate({**offered, **tomllib.loads(changed)}))
        due = total(prices, int(units.replace(",", "")), is_active=True)
        assert f"{due / 100:,.2f}" == amount


def defined_in(guide: str, name: str) -> Any:
    """The function of that name that a block of the guide defines."""
    text = next(block for block in blocks(guide, "python") if f"def {name}(" in block)
    names: dict[str, Any] = {}
    exec(compile(text, guide, "exec"), names)  # noqa: S102  # our own guide
    return names[name]
