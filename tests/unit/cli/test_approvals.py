"""`datacanal approval …` at the site's machine, while its agent has the store open."""

import base64
import json
import os
import pwd
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.cli.test_records import CONFIG, SITE

from datacanal.cli import approvals
from datacanal.cli.main import run
from datacanal.domain.errors import ApprovalNeeded
from datacanal.site.approvals import Approvals
from datacanal.site.record.verifying import Verifier
from datacanal.site.store.approvals import Approval, ApprovalStore, Decision
from datacanal.testing.site_books import SiteBooks, open_books

ASKED = Approval(
    code="ab" * 32,
    image=f"sha256:{'1' * 64}",
    name="model\x1b[31m",
    source="def model(ctx):\n\treturn ctx.dataset('t.p')  # \x1b]0;harmless\x07 \u202e\x9b\n",
    pickle=base64.b64encode(b"what runs").decode(),
    job="job_1",
    tenant="default",
    principal="ana",
    purpose="fraud",
    datasets=frozenset({"t.p"}),
    asked_ms=int(datetime(2030, 5, 1, 12, tzinfo=UTC).timestamp() * 1000),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "datacanal.toml"
    file.write_text(CONFIG + SITE.format(name="core", port=8410))
    return file


@pytest.fixture
def books(tmp_path: Path) -> Iterator[SiteBooks]:
    opened = open_books(tmp_path / "state" / "sites" / "core")
    ApprovalStore(opened.engine).ask(ASKED)
    yield opened
    opened.close()


def agent(books: SiteBooks) -> Approvals:
    return Approvals("core", ApprovalStore(books.engine), lambda: datetime.now(UTC))


def test_who_asks_for_what_is_listed(books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["approval", "list", "--config", str(config)]) == 0
    [_, _, line] = capsys.readouterr().out.splitlines()
    for word in ("abababababab", "model\\x1b[31m", "111111111111", "requested", "ana", "fraud", "t.p", "2030-05-01"):
        assert word in line
    assert run(["approval", "list", "--config", str(config), "--json"]) == 0
    [document] = json.loads(capsys.readouterr().out)
    assert (document["code"], document["state"], document["datasets"]) == (ASKED.code, "requested", ["t.p"])


def test_the_whole_source_is_shown_and_steers_no_terminal(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["approval", "show", "abab", "--config", str(config), "--pickle", str(tmp_path / "f.pickle")]) == 0
    text = capsys.readouterr().out
    assert "    1  def model(ctx):\n" in text
    assert "    2  \treturn ctx.dataset('t.p')  # \\x1b]0;harmless\\x07 \\u202e\\x9b\n" in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
    assert (tmp_path / "f.pickle").read_bytes() == b"what runs"
    assert run(["approval", "show", "abab", "--config", str(config), "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["source"] == ASKED.source
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
    assert run(["approval", "show", "abab", "--config", str(config), "--pickle", str(tmp_path / "f.pickle")]) == 2


def test_a_grant_and_its_revocation_hold_for_the_running_agent_and_stand_in_its_record(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    with pytest.raises(ApprovalNeeded):
        agent(books).check(ASKED)
    assert run(["approval", "grant", "abab", "--config", str(config)]) == 0
    assert "may read t.p\n" in capsys.readouterr().out
    agent(books).check(ASKED)
    assert run(["approval", "revoke", "abab", "--config", str(config)]) == 0
    with pytest.raises(ApprovalNeeded):
        agent(books).check(ASKED)
    entries = [recorded.entry for recorded in books.record.entries()]
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert [(each.kind, each.decision, each.principal, each.digest) for each in entries] == [
        ("approval", "accepted", user, ASKED.code),
        ("approval", "refused", user, ASKED.code),
    ]
    assert entries[0].reason.endswith(f"in image {ASKED.image}: for t.p")
    home = config.parent / "state" / "sites" / "core"
    assert Verifier("core", books.keys.public, home / "site.db", home).verify().count == 2


def test_a_grant_may_end(books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["approval", "grant", "abab", "--config", str(config), "--expires", "30d"]) == 0
    found = ApprovalStore(books.engine).find(ASKED.code, ASKED.image)
    assert found is not None
    assert found.expires_ms is not None
    assert found.decided_ms is not None
    assert found.expires_ms - found.decided_ms == 30 * 86_400_000
    assert run(["approval", "grant", "abab", "--config", str(config), "--expires", "2020-01-01"]) == 2


def test_a_grant_that_does_not_hold_for_all_that_is_asked_says_so(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ApprovalStore(books.engine)

    def state() -> str:
        assert run(["approval", "list", "--config", str(config), "--json"]) == 0
        [document] = json.loads(capsys.readouterr().out)
        return str(document["state"])

    decision = Decision(grant=True, by="root", at_ms=0)
    store.decide(ASKED, decision, lambda *_: None)
    assert state() == "granted"
    store.ask(replace(ASKED, datasets=frozenset({"t.q"})))
    assert state() == "granted in part"
    store.decide(ASKED, replace(decision, expires_ms=1), lambda *_: None)
    assert state() == "expired"


def test_the_steward_behind_sudo_is_noted(books: SiteBooks, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "eva")
    assert run(["approval", "grant", "abab", "--config", str(config)]) == 0
    found = ApprovalStore(books.engine).find(ASKED.code, ASKED.image)
    assert found is not None
    assert found.decided_by == f"eva as {pwd.getpwuid(os.geteuid()).pw_name}"


def test_a_digest_must_name_one_request(books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ApprovalStore(books.engine)
    store.ask(replace(ASKED, image=f"sha256:{'2' * 64}"))
    store.ask(replace(ASKED, code="ac" * 32))
    at = ["--config", str(config)]
    assert run(["approval", "grant", "a", *at]) == 2
    assert run(["approval", "grant", "abab", *at]) == 2
    assert "--image" in capsys.readouterr().err
    assert run(["approval", "grant", "ff", *at]) == 2
    assert run(["approval", "grant", "", *at]) == 2
    assert run(["approval", "grant", "ABAB", "--image", "2222", *at]) == 0
    states = {(each.code[:2], each.image[7]): each.state for each in store.every()}
    assert states == {("ab", "1"): "requested", ("ab", "2"): "granted", ("ac", "1"): "requested"}


def test_a_home_without_a_store_stays_without_one(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["approval", "list", "--config", str(config)]) == 2
    assert "not_found" in capsys.readouterr().err
    assert not (config.parent / "state" / "sites" / "core").exists()


def test_another_user_s_store_is_left_alone(
    books: SiteBooks, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals.os, "geteuid", lambda: os.getuid() + 1)
    assert run(["approval", "grant", "abab", "--config", str(config)]) == 2
    assert f"run this as {pwd.getpwuid(os.getuid()).pw_name!r}" in capsys.readouterr().err
