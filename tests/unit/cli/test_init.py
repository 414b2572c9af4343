"""What `datacanal init` makes is valid as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from datacanal.cli.demo.service import free_layout
from datacanal.cli.init import Layout, make_directory
from datacanal.cli.main import run
from datacanal.cli.up import one_instance, parts_of
from datacanal.configuration import GatewaySection, load_configuration
from datacanal.domain.errors import AlreadyRunning, BadField
from datacanal.testing.tasks import write_parquet


def test_a_new_directory_is_valid_and_has_two_sites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(tmp_path / "mine")]) == 0
    assert run(["check", "--config", str(tmp_path / "mine" / "datacanal.toml")]) == 0
    assert "2 sites; lakes: transactions, users" in capsys.readouterr().out


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadField):
        make_directory(tmp_path, Layout())
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_each_part_is_one_child_with_a_log_of_its_own(tmp_path: Path) -> None:
    parts = parts_of(load_configuration(make_directory(tmp_path, free_layout())))
    assert [list(part.arguments[:3]) for part in parts] == [
        ["serve", "control", "--config"],
        ["serve", "site", "core"],
        ["serve", "site", "people"],
        ["serve", "gateway", "--config"],
    ]
    assert len({part.log for part in parts}) == 4


def test_where_a_pool_is_of_containers_the_launcher_starts_first(tmp_path: Path) -> None:
    configuration = load_configuration(make_directory(tmp_path, free_layout()))
    core, people = configuration.sites
    boxed = people.model_copy(update={"pool": people.pool.model_copy(update={"backend": "docker"})})
    parts = parts_of(configuration.model_copy(update={"sites": [core, boxed]}))
    assert [part.name for part in parts] == ["launcher", "control", "site core", "site people", "gateway"]
    assert list(parts[0].arguments[:3]) == ["serve", "launcher", "--config"]


def test_a_gateway_that_is_configured_starts_after_the_control_plane(tmp_path: Path) -> None:
    configuration = load_configuration(make_directory(tmp_path, free_layout()))
    parts = parts_of(configuration.model_copy(update={"gateway": GatewaySection()}))
    assert [part.name for part in parts] == ["control", "site core", "site people", "gateway"]


def test_two_instances_on_one_state_exclude_each_other(tmp_path: Path) -> None:
    with one_instance(tmp_path), pytest.raises(AlreadyRunning), one_instance(tmp_path):
        pass
    with one_instance(tmp_path):
        pass


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("users.policy.toml", ""),
        ("users.policy.toml", 'default_class = "masked"'),
        ("datacanal.toml", "nonsense = 1"),
        ("datacanal.toml", "[["),
    ],
)
def test_check_refuses_what_would_not_start(tmp_path: Path, file: str, text: str) -> None:
    make_directory(tmp_path, Layout())
    (tmp_path / file).write_text(text)
    assert run(["check", "--config", str(tmp_path / "datacanal.toml")]) == 2


def test_check_tells_everything_that_is_wrong_with_every_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_directory(tmp_path, Layout())
    write_parquet(tmp_path / "lakes/transactions/payments/1.parquet", "SELECT 1 AS id, 'x' AS memo")
    write_parquet(tmp_path / "lakes/transactions/broken/1.parquet", "SELECT 1 AS id")
    (tmp_path / "lakes/transactions/broken/1.parquet").write_bytes(b"PAR1")
    (tmp_path / "transactions.policy.toml").write_text(
        """default_class = "public"
[datasets.payments]
rows = "status <> 'test'"
columns = { memo = { class = "masked", mask = "year" } }
[datasets.broken]
key = ["id"]
[datasets.later]
"""
    )
    (tmp_path / "users.policy.toml").write_text('default_class = "public"\nwhat = 1\nmore = 2\n')
    assert run(["check", "--config", str(config)]) == 2
    told = [line.replace(f"{tmp_path}/", "") for line in capsys.readouterr().err.splitlines()]
    assert [line.split(": ")[:3] for line in told] == [
        ["warning", "transactions.policy.toml:7", "datasets.later"],
        ["bad_policy", "transactions.policy.toml:3", "datasets.payments.rows"],
        ["bad_policy", "transactions.policy.toml:4", "datasets.payments.columns.memo.mask"],
        ["bad_policy", "users.policy.toml:2", "what"],
        ["bad_policy", "users.policy.toml:3", "more"],
    ]
