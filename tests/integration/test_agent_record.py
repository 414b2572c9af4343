"""Records of running sites: chained, signed, true to what moved; and words of attempts, as policies let them out."""

from __future__ import annotations

from pathlib import Path

from tests.integration.town import LAKES, Town, play

from datacanal.site.keys import public_key
from datacanal.site.policy import Policy
from datacanal.site.record.entry import Recorded
from datacanal.site.record.reading import Wanted, read_entries
from datacanal.site.record.verifying import Verifier

JOIN = (
    "SELECT name, count(*) n FROM transactions.payments JOIN people.persons USING (person)"
    " WHERE amount > 100 GROUP BY name ORDER BY name"
)
BROKEN = "SELECT CAST(name AS INTEGER) AS n FROM people.persons"


def home(town: Town, site: str) -> Path:
    return town.folder / "sites" / site


def record(town: Town, site: str, job: str | None = None) -> list[Recorded]:
    return [*reversed(read_entries(home(town, site) / "site.db", Wanted(job=job)))]


def test_every_decision_of_both_sites_is_in_their_records_while_they_run_and_the_user_reads_the_job_s(
    tmp_path: Path,
) -> None:
    async def story(town: Town) -> None:
        for site in LAKES:
            await town.open(site)
        job = (await town.run(JOIN))["id"]
        for site in LAKES:
            head = Verifier(site, public_key(home(town, site)), home(town, site) / "site.db", home(town, site)).verify()
            entries = record(town, site)
            assert head.count == len(entries) > 2
            assert [(item.entry.kind, item.entry.decision) for item in entries[:2]] == [
                ("peer", "accepted"),
                ("policy", "accepted"),
            ]
        (transfer,) = (await town.ended(job))["stats"]["transfers"]
        released, served = record(town, transfer["from"], job)
        assert (released.entry.decision, served.entry.decision) == ("released", "served")
        assert released.entry.bytes == served.entry.bytes == transfer["bytes_wire"]
        assert list(served.entry.receivers) == [transfer["to"]]
        (result,) = record(town, transfer["to"], job)
        told = (await town.admin.get(f"/v1/jobs/{job}/egress")).json()["entries"]
        assert {(entry["site"], entry["seq"], entry["hash"]) for entry in told} == {
            (transfer["from"], released.seq, released.hash),
            (transfer["to"], result.seq, result.hash),
        }
        assert {entry["kind"] for entry in told} == {"transfer", "result"}

    play(tmp_path, story)


def test_words_stay_at_a_site_whose_policy_says_nothing_of_logs(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("users")
        job = (await town.ended(await town.submit(BROKEN)))["id"]
        logs = (await town.admin.get(f"/v1/jobs/{job}/logs")).text
        assert "conversion_failed" in logs
        assert "p0" not in logs
        answer = await town.admin.get(f"/v1/jobs/{job}/logs", params={"text": "true"})
        assert (answer.status_code, answer.json()["code"]) == (403, "logs_refused")
        assert "p0" not in answer.text
        assert [item.entry.kind for item in record(town, "users", job)] == ["log"]

    play(tmp_path, story)


def test_words_are_read_elsewhere_where_the_policy_lets_them_out_and_the_record_says_so(tmp_path: Path) -> None:
    policy = Policy.model_validate({"default_class": "public", "logs": {"release": True, "max_bytes": 40}})

    async def story(town: Town) -> None:
        await town.open("users", policy=policy)
        job = (await town.ended(await town.submit(BROKEN)))["id"]
        answer = await town.admin.get(f"/v1/jobs/{job}/logs", params={"text": "true"})
        (attempt,) = answer.json()["attempts"]
        assert len(attempt["said"].encode()) == 40
        assert attempt["cut"]
        (entry,) = (item.entry for item in record(town, "users", job))
        assert (entry.kind, entry.decision, entry.bytes) == ("log", "released", 40)

    play(tmp_path, story)
