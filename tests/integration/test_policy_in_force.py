"""A policy from file to answer: what it hides is hidden, and a new one is in force while the site runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.town import Town, play

from datacanal.site.policy import Policy

GOVERNED = """default_class = "public"
[datasets.payments]
rows = "id >= 100"
[datasets.payments.columns]
amount = { class = "masked", mask = "bucket(100)" }
person = { class = "join_key" }
"""
PEOPLE = Policy.model_validate(
    {"default_class": "public", "datasets": {"persons": {"columns": {"person": {"class": "join_key"}}}}}
)
BROKEN = GOVERNED + 'memo = { class = "masked" }\n'


async def asked(town: Town, sql: str) -> Any:
    return (await town.admin.post("/v1/jobs", json={"sql": sql})).json()


async def lake(town: Town) -> dict[str, Any]:
    lakes: list[dict[str, Any]] = (await town.admin.get("/v1/lakes")).json()["lakes"]
    return next(one for one in lakes if one["name"] == "transactions")


def test_a_new_policy_hides_at_once_what_it_says_and_a_broken_one_is_shown_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "t.policy.toml"
    file.write_text('default_class = "public"\n')

    async def story(town: Town) -> None:
        await town.open("core", policy=file)
        await town.open("users", policy=PEOPLE)
        counted = "SELECT count(*) AS n, min(id) AS first, max(amount) AS most FROM payments"
        assert await town.rows(counted) == [{"n": 1000, "first": 0, "most": 1498.5}]
        before = (await lake(town))["policy_digest"]

        file.write_text(GOVERNED)
        await town.refreshed("transactions")
        governed = await lake(town)
        assert (governed["policy_digest"] != before, governed["problem"]) == (True, None)
        assert await town.rows(counted) == [{"n": 900, "first": 100, "most": 1400.0}]
        joined = (
            "SELECT p.name, count(*) AS n FROM payments y JOIN persons p ON p.person = y.person GROUP BY 1 ORDER BY 1"
        )
        assert await town.rows(joined) == [{"name": f"p{number}", "n": 90} for number in range(10)]
        refused = await asked(town, "SELECT person FROM payments")
        assert (refused["code"], "transactions.payments.person" in refused["detail"]) == ("policy_refused", True)

        file.write_text(BROKEN)
        await town.refreshed("transactions")
        broken = await lake(town)
        assert broken["policy_digest"] == governed["policy_digest"]
        assert broken["problem"]["detail"].startswith("t.policy.toml:7: datasets.payments.columns.memo: class")
        assert await town.rows(counted) == [{"n": 900, "first": 100, "most": 1400.0}]

    play(tmp_path, story)
