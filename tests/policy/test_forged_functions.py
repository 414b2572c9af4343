"""Functions that a false control plane sends: refused by the agent alone, and recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.policy.forged import edited, lease_of, plan_of, refusal, taken, told
from tests.policy.forged_functions import (
    allowed,
    code_of,
    fed,
    function,
    raw,
    stewarded,
    table,
)
from tests.policy.forging import World

from datacanal.domain.errors import OutputLost
from datacanal.protocol.plan import Plan, Step


def python(document: Any) -> dict[str, Any]:
    step: dict[str, Any] = document["steps"][-1]
    return step


def code(document: Any) -> dict[str, Any]:
    found: dict[str, Any] = python(document)["python"]["code"]
    return found


def given(document: Any) -> dict[str, Any]:
    found: dict[str, Any] = python(document)["python"]["given"][0]
    return found


def also_at_users(document: Any) -> None:
    """The function's result, for a step of another site."""
    sent = {"kind": "transfer", "occurrence": "occ0", "lake": "step", "dataset": "python", "from_step": "python",
            "shipped": python(document)["columns"], "columns": python(document)["columns"]}  # fmt: skip
    step = {**document["steps"][0], "id": "thief", "site": "users", "kind": "subtree", "inputs": [sent]}
    document["steps"].insert(0, step)


def table_to_users(document: Any) -> None:
    """The function's table, for a step of another site as well."""
    sent = {**python(document)["inputs"][0]}
    document["steps"].insert(
        0, {**document["steps"][0], "id": "thief", "site": "users", "kind": "subtree", "inputs": [sent]}
    )
    document["transfers"].append(
        {"from_step": "dataset_0_query", "to_step": "thief", "from_site": "core", "to_site": "users",
         "kind": "relation", "dataset": "step.dataset_0_query", "estimate": {"rows": 0, "bytes": 0}, "reason": ""}
    )  # fmt: skip


def only_moved(document: Any) -> None:
    """The function's table leaves for a step that does not even say that it reads it."""
    document["transfers"].append(
        {"from_step": "dataset_0_query", "to_step": "thief", "from_site": "core", "to_site": "users",
         "kind": "relation", "dataset": "step.dataset_0_query", "estimate": {"rows": 0, "bytes": 0}, "reason": ""}
    )  # fmt: skip


def renamed(document: Any) -> None:
    for columns in (
        document["steps"][0]["columns"],
        *(python(document)["inputs"][0][part] for part in ("shipped", "columns")),
    ):
        columns[0]["name"] = "number"


def second_function(document: Any) -> None:
    document["steps"].insert(0, {**python(document), "id": "other"})


def looser(document: Any) -> None:
    """Columns that nobody's budget is charged for."""
    for column in python(document)["columns"]:
        column["label"] = {}


FORGED: dict[str, dict[str, Callable[[Any], Any]]] = {
    "does not have the digest": {"a digest of other code": lambda d: code(d).update(digest="0" * 64)},
    "pickle is not base64": {"a pickle that is none": lambda d: code(d).update(pickle="no base64!")},
    "larger than any may be": {
        "no pickle": lambda d: code(d).update(pickle=""),
        "a pickle that is too large": lambda d: code(d).update(code_of(b"x" * 600_000).model_dump(mode="json")),
        "a source that is too long": lambda d: code(d).update(source="#" * 70_000),
    },
    "nothing else to do": {"statements beside the function": lambda d: python(d).update(sql="SELECT 1 AS channel")},
    "and no other step has": {
        "a function beside a statement": lambda d: d["steps"][0].update(python=python(d)["python"]),
        "a python step without a function": lambda d: python(d).update(python=None),
    },
    "has one, and that makes the result": {"two functions": second_function},
    "reads what no step but the function may": {
        "a function that feeds another site": also_at_users,
        "a function's table for another site as well": table_to_users,
    },
    "is for the function alone": {"a function's table on its way to another step": only_moved},
    "does not belong to the owners": {
        "labels that are looser": looser,
        "labels of other owners": lambda d: python(d)["columns"][0]["label"]["owners"][0].update(dataset="rates"),
    },
    "that the function returns are not told apart": {
        "no columns": lambda d: (python(d).update(columns=[]), d.update(columns=[])),
        "columns that are not told apart": lambda d: python(d)["columns"].append(
            {**python(d)["columns"][0], "name": "CHANNEL"}
        ),
    },
    "one by one": {
        "a table that it is not given by name": lambda d: python(d)["python"].update(given=[]),
        "a name for no table": lambda d: python(d)["python"]["given"].append(
            {**given(d), "name": "b", "occurrence": "occ7"}
        ),
        "one table by two names": lambda d: python(d)["python"]["given"].append({**given(d), "name": "b"}),
        "an input that the function is not told of": lambda d: python(d)["inputs"].append(
            {**d["steps"][0]["inputs"][0], "occurrence": "occ5"}
        ),
    },
    "is given as something else": {
        "a dataset under another's name": lambda d: given(d).update(name="transactions.cards")
    },
    "is not what a query gives|has no output that a step may use": {
        "a table that a scan made": lambda d: d["steps"][0].update(kind="scan"),
        "a table that a subtree made": lambda d: d["steps"][0].update(kind="subtree"),
    },
    "is not what a query gives|does not count|not those that it sends": {
        "a count for a table": lambda d: python(d)["inputs"][0].update(counted=True),
        "only some of what was made": lambda d: python(d)["inputs"][0]["shipped"].pop(),
    },
    "is made of more than that dataset": {
        "a table made with parameters": lambda d: d["steps"][0].update(params={"a": 1}),
        "a table made of two datasets": lambda d: d["steps"][0]["inputs"].append(
            {**d["steps"][0]["inputs"][0], "occurrence": "occ1"}
        ),
    },
    "that a function may see as it is": {
        "a column that the dataset does not have": renamed,
    },
    "no cluster has that size": {
        "more workers than any site has": lambda d: python(d)["python"].update(workers=10_000),
        "no memory": lambda d: python(d)["python"].update(memory_bytes=0),
    },
    "a python step does": {"a result that is not the function's": lambda d: d.update(result_step="dataset_0_query")},
    "nothing reads step idle": {
        "a table that nothing reads": lambda d: d["steps"].insert(0, {**d["steps"][0], "id": "idle"})
    },
}


@pytest.mark.parametrize(("why", "name"), [(why, name) for why, several in FORGED.items() for name in several])
def test_a_plan_that_is_forged(world: World, why: str, name: str) -> None:
    plan = edited(allowed(world), FORGED[why][name])
    for step in ("dataset_0_query", "python"):
        refused = refusal(world, lease_of(world, plan, step))
        assert refused.code == "step_refused"
        assert any(words in refused.detail for words in why.split("|")), refused.detail


def forged_step(world: World, step: Step, kind: str = "dataset") -> Plan:
    return plan_of([step, function([(kind, "transactions.payments", taken(step, "occ0"))])])


def test_a_secret_is_shown_to_no_function(world: World) -> None:
    step = table(world, "payments", "id, note")
    for kind in ("dataset", "input"):
        assert refusal(world, lease_of(world, forged_step(world, step, kind), step.id)).code == "step_refused"


@pytest.mark.parametrize("column", ["person", "amount", "card.holder", "card.credit"])
def test_a_governed_column_as_an_input(world: World, column: str) -> None:
    """An approved dataset's table is its own; an answer of SQL is free to be seen, approval or not."""
    dataset, _, name = column.rpartition(".")
    step = table(world, f"{dataset or 'payment'}s", name)
    plan = plan_of([step, function([("input", "smuggled", taken(step, "occ0"))])])
    assert refusal(world, stewarded(world, plan, step.id)).code == "step_refused"


def test_a_governed_column_through_a_subtree(world: World) -> None:
    tree = world.step(
        "tree", "subtree", "SELECT channel, amount FROM occ0.transactions.payments", [world.dataset("payments")]
    )
    query = world.step("own__query", "query", "SELECT amount FROM occ0.step.tree", [taken(tree, "occ0")])
    plan = plan_of([tree, query, function([("input", "own", taken(query, "occ0"))])])
    for step in ("tree", "own__query", "python"):
        assert refusal(world, lease_of(world, plan, step)).code == "step_refused"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT amount FROM occ0.transactions.payments",
        "SELECT person AS amount FROM occ0.transactions.payments",
        "SELECT count(*)::DOUBLE AS amount FROM occ0.transactions.payments WHERE amount > 3",
        "SELECT note AS amount FROM occ0.transactions.payments",
    ],
)
def test_a_governed_column_that_says_that_it_is_public(world: World, sql: str) -> None:
    """Nothing in the plan gives it away; the kernel works out the labels when the table is made."""
    honest = world.step("own__query", "query", "SELECT id FROM occ0.transactions.payments", [world.dataset("payments")])
    free = honest.columns[0].model_copy(update={"name": "amount", "type": "DOUBLE"})
    lying = honest.model_copy(update={"sql": sql, "columns": [free]})
    plan = plan_of([lying, function([("input", "own", taken(lying, "occ0"))])])
    assert told(world, lease_of(world, plan, "own__query")) in ("labels_differ", "policy_refused")


def test_rows_that_a_secret_chose_as_a_dataset_s_table(world: World) -> None:
    step = table(world, "payments", "id, channel")
    chosen = step.model_copy(update={"sql": f"{step.sql} WHERE note = 'n7'"})
    code = told(world, lease_of(world, forged_step(world, chosen), step.id))
    assert code in ("labels_differ", "policy_refused")


def test_files_of_a_dataset_that_is_not_public_altogether(world: World) -> None:
    plan = plan_of([function([("dataset", "transactions.payments", world.dataset("payments"))])])
    assert refusal(world, lease_of(world, plan, "python")).code == "step_refused"

    def said_to_be_public(document: Any) -> None:
        for column in python(document)["inputs"][0]["columns"]:
            column["label"].update(policy_class="public", origins=[])

    assert refusal(world, lease_of(world, edited(plan, said_to_be_public), "python")).code == "labels_differ"


def test_files_of_a_dataset_under_another_s_name(world: World) -> None:
    plan = edited(raw(world), lambda d: given(d).update(name="transactions.cards"))
    assert "is given as something else" in refusal(world, lease_of(world, plan, "python")).detail


def test_columns_of_a_table_that_are_not_told_apart(world: World) -> None:
    step = table(world, "payments", "id, channel, id")
    assert "are not told apart" in refusal(world, lease_of(world, forged_step(world, step), step.id)).detail


def test_a_dataset_of_another_site_s_lake(world: World) -> None:
    def elsewhere(document: Any) -> None:
        python(document)["inputs"][0].update(lake="people")
        given(document).update(name="people.rates")
        for column in python(document)["inputs"][0]["columns"]:
            column["label"]["owners"][0].update(lake="people")
        for column in python(document)["columns"]:
            column["label"]["owners"][0].update(lake="people")

    assert refusal(world, lease_of(world, edited(raw(world), elsewhere), "python")).code == "step_refused"


def test_a_dataset_s_table_that_another_site_makes(world: World) -> None:
    plan = edited(fed(world), lambda d: given(d).update(kind="dataset", name="people.persons"))
    for step in ("own__query", "python"):
        assert refusal(world, lease_of(world, plan, step)).code == "step_refused"


def test_a_join_key_of_another_site_that_travels_to_a_function(world: World) -> None:
    """Keys travel to find their partners, not to be seen: the sender refuses as much as the receiver."""
    step = world.step(
        "keys__query", "query", "SELECT person FROM occ0.transactions.payments", [world.dataset("payments")]
    )
    receiving = function([("input", "keys", taken(step, "occ0"))]).model_copy(update={"site": "users"})
    plan = plan_of([step, receiving])
    assert refusal(world, lease_of(world, plan, "keys__query")).code == "step_refused"


def test_a_query_that_feeds_something_else_than_a_function(world: World) -> None:
    query = table(world, "payments", "id, amount", "hidden")
    reader = world.step("query", "query", "SELECT id FROM occ0.step.hidden", [taken(query, "occ0")])
    plan = plan_of([query, reader])
    for step in ("hidden", "query"):
        assert refusal(world, lease_of(world, plan, step)).code == "step_refused"


def test_a_function_for_this_site_that_another_plan_feeds(world: World) -> None:
    lease = lease_of(world, allowed(world), "dataset_0_query")
    world.run(lease)
    other = edited(allowed(world), lambda d: code(d).update(name="g"))
    with pytest.raises(OutputLost):
        world.verifier.verified(lease_of(world, other, "python", job=lease.job))
