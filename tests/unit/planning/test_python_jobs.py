"""From a function's request to a plan, and everything that is wrong with a request."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from typing import Any

import pytest

from datacanal.domain.errors import (
    BadArgument,
    BadFunction,
    BadParameter,
    DatacanalError,
    DatasetNotFound,
    DatasetUnreadable,
    DoesNotBind,
    EnvironmentDiffers,
    NotAReader,
    PolicyRefused,
    PythonRefused,
)
from datacanal.planning.explain import explain_text
from datacanal.planning.python_jobs import Ground, compile_python
from datacanal.planning.rules import Rules
from datacanal.protocol.labels import Owner
from datacanal.protocol.plan import DatasetInput, Plan, PythonEnvironment, TransferInput
from datacanal.protocol.public import MAX_PICKLE_BYTES, PythonRequest

NOW = "2026-03-04T05:06:07+00:00"
PICKLE = b"a pickle that nobody here opens"


def asked(**changes: Any) -> PythonRequest:
    fields: dict[str, Any] = {
        "site": "core",
        "name": "score",
        "code": base64.b64encode(PICKLE).decode(),
        "source": "def score(ctx): ...",
        "environment": PythonEnvironment(python="3.11", packages={"pandas": "2.2.0"}),
        "columns": {"region": "varchar", "total": "DECIMAL(12,2)"},
    }
    return PythonRequest(**{**fields, **changes})


def ground(bench: Any, catalogue: Any = None) -> Ground:
    return Ground(catalogue or bench.catalogue, ("core", "edge"), bench.binder, NOW, Rules())


def planned(bench: Any, params: dict[str, Any] | None = None, **changes: Any) -> Plan:
    return compile_python(asked(**changes), params or {}, ground(bench))


def refused(bench: Any, error: type[DatacanalError], params: dict[str, Any] | None = None, **changes: Any) -> str:
    with pytest.raises(error) as refusal:
        planned(bench, params, **changes)
    return f"{refusal.value.detail} {refusal.value.remedy}"


def with_dataset(bench: Any, name: str, **changes: Any) -> Ground:
    """The bench's catalogue with one dataset changed."""
    found = tuple(dataclasses.replace(d, **changes) if d.name == name else d for d in bench.catalogue.datasets)
    return ground(bench, dataclasses.replace(bench.catalogue, datasets=found))


def test_a_function_without_tables_is_one_step_at_its_site(bench: Any) -> None:
    plan = planned(bench, workers=3, memory="2GiB")
    [step] = plan.steps
    assert (step.id, step.site, step.kind, step.sql, step.inputs) == ("python", "core", "python", "", [])
    assert plan.result_step == "python"
    assert [(column.name, column.type) for column in plan.columns] == [
        ("region", "VARCHAR"),
        ("total", "DECIMAL(12,2)"),
    ]
    assert step.python is not None
    assert (step.python.workers, step.python.memory_bytes, step.python.image) == (3, 2 * 2**30, None)
    assert step.python.code.digest == hashlib.sha256(PICKLE).hexdigest()
    assert plan.meeting.site == "core"


def test_a_dataset_is_a_query_of_its_columns_at_the_same_site(bench: Any) -> None:
    plan = planned(bench, datasets=["transactions.order"])
    query, step = plan.steps
    assert (query.id, query.kind, query.site) == ("dataset_0_query", "query", "core")
    assert query.sql == 'SELECT "select", "group by", "näme ""x""", big FROM occ0.transactions."order"'
    assert [each.dataset for each in query.inputs if isinstance(each, DatasetInput)] == ["order"]
    [given] = step.inputs
    assert isinstance(given, TransferInput)
    assert (given.lake, given.dataset, given.from_step) == ("step", "dataset_0_query", "dataset_0_query")
    assert given.shipped == given.columns == query.columns
    assert step.python is not None
    assert [(each.kind, each.name, each.occurrence) for each in step.python.given] == [
        ("dataset", "transactions.order", given.occurrence)
    ]
    assert plan.transfers == []


def test_what_the_site_has_otherwise_is_told_before_anything_is_planned(bench: Any) -> None:
    found = PythonEnvironment(python="3.12", packages={"pandas": "3.0.1", "numpy": "2.4"})
    site = dataclasses.replace(ground(bench), environments={"core": found})
    needed = PythonEnvironment(python="3.11", packages={"numpy": "2.4", "pandas": "2.2.0", "polars": "1.0"})
    with pytest.raises(EnvironmentDiffers) as refusal:
        compile_python(asked(environment=needed), {}, site)
    differences = "Python 3.11 (there 3.12), pandas 2.2.0 (there 3.0.1), polars 1.0 (there it is missing)"
    assert refusal.value.data["differences"] == differences
    alike = PythonEnvironment(python="3.12", packages={"numpy": "2.4"})
    assert compile_python(asked(environment=alike), {}, site).result_step == "python"
    in_another_image = asked(environment=needed, image=f"sha256:{'1' * 64}")  # what that has, the site knows
    assert compile_python(in_another_image, {}, site).step("python").python.image == in_another_image.image  # type: ignore[union-attr]  # it has one


def test_an_input_is_planned_like_a_statement_and_its_table_moves_to_the_function(bench: Any) -> None:
    sql = "SELECT tier, count(*) AS n FROM people JOIN payments USING (account_id) WHERE amount > 3 GROUP BY tier"
    plan = planned(bench, site="edge", inputs={"tiers": sql}, datasets=["users.people"])
    alone = bench.plan(sql)
    assert [step.id for step in plan.steps] == [
        "dataset_0_query",
        *(f"tiers__{step.id}" for step in alone.steps),
        "python",
    ]
    moved = [(move.from_step, move.to_step, move.from_site, move.to_site) for move in plan.transfers]
    assert moved[-1] == ("tiers__query", "python", alone.meeting.site, "edge")
    assert len(moved) == len(alone.transfers) + 1
    assert plan.meeting.bytes == sum(move.estimate.bytes for move in plan.transfers)
    assert [given.name for given in plan.step("python").python.given] == ["users.people", "tiers"]  # type: ignore[union-attr]  # it has one


def test_every_step_of_an_input_is_read_under_the_name_that_it_has_in_the_plan(governed: Any) -> None:
    sql = (
        "SELECT tier, spent FROM (SELECT channel, sum(amount) AS spent FROM payments GROUP BY channel) "
        "JOIN rates USING (channel), people"
    )
    plan = planned(governed, inputs={"a": sql, "a_b": sql})
    ids = [step.id for step in plan.steps]
    assert len(set(ids)) == len(ids)
    for step in plan.steps:
        for item in step.inputs:
            if isinstance(item, TransferInput) and item.lake == "step":
                assert item.dataset == item.from_step
                assert step.kind == "python" or f"step.{item.dataset}" in step.sql.replace('"', "")
            if isinstance(item, TransferInput):
                assert item.from_step in ids[: ids.index(step.id)]


def test_the_parameters_that_an_input_names_are_bound_to_it(bench: Any) -> None:
    inputs = {"some": "SELECT name FROM people WHERE tier = $tier", "all": "SELECT name FROM people"}
    parameters = {"tier": "str", "year": "int"}
    plan = planned(bench, {"tier": "gold", "year": 3}, site="edge", inputs=inputs, parameters=parameters)
    assert [step.params for step in plan.steps] == [{"tier": "gold"}, {}, {"tier": "gold", "year": 3}]
    assert "$other" in refused(bench, BadParameter, inputs={"some": "SELECT $other"})


def test_the_contract_is_public_and_owned_by_the_owners_of_all_that_is_given(governed: Any) -> None:
    plan = planned(governed, datasets=["transactions.payments"], inputs={"people": "SELECT tier FROM people"})
    owners = [
        Owner(lake=lake, dataset=name, policy="d" * 64)
        for lake, name in (("transactions", "payments"), ("users", "people"))
    ]
    assert [(column.label.policy_class, column.label.owners) for column in plan.columns] == [("public", owners)] * 2


def test_python_sees_the_public_and_masked_columns_of_a_dataset(governed: Any) -> None:
    plan = planned(governed, site="edge", datasets=["users.people"])
    assert [column.name for column in plan.steps[0].columns] == ["tier", "born", "facts"]
    assert plan.policy == ["users.people: born can only be seen through their masks."]


def test_where_a_steward_approves_python_sees_all_but_secrets_with_their_labels(governed: Any) -> None:
    over = with_dataset(governed, "people", python="approval")
    plan = compile_python(asked(site="edge", datasets=["users.people"]), {}, over)
    classes = {column.name: column.label.policy_class for column in plan.steps[0].columns}
    assert classes == {
        "account_id": "join_key", "tier": "public", "born": "masked", "facts": "public", "income": "aggregate",
    }  # fmt: skip
    assert [column.label.policy_class for column in plan.columns] == ["public", "public"]
    assert "users.people: a steward has to approve the function first." in plan.policy


def test_a_dataset_of_another_site_is_refused_with_the_way_to_have_it(bench: Any) -> None:
    words = refused(bench, PythonRefused, datasets=["users.people"])
    assert "at site 'edge'" in words
    assert 'inputs={"people": "SELECT … FROM users.people"}' in words


def test_a_policy_that_never_allows_python_is_heeded(bench: Any) -> None:
    with pytest.raises(PythonRefused, match="never"):
        compile_python(asked(datasets=["transactions.order"]), {}, with_dataset(bench, "order", python="never"))


def test_a_dataset_whose_columns_are_all_hidden_is_refused(governed: Any) -> None:
    people = next(each for each in governed.catalogue.datasets if each.name == "people")
    hidden = tuple(column for column in people.columns if column.name in ("account_id", "name"))
    over = with_dataset(governed, "people", columns=hidden)
    with pytest.raises(PythonRefused, match="none of its columns"):
        compile_python(asked(site="edge", datasets=["users.people"]), {}, over)


def test_who_may_not_read_a_dataset_may_not_with_python(bench: Any) -> None:
    with pytest.raises(NotAReader):
        compile_python(asked(datasets=["transactions.order"]), {}, with_dataset(bench, "order", closed="not listed"))


def test_a_dataset_that_cannot_be_read_is_named(bench: Any) -> None:
    with pytest.raises(DatasetUnreadable, match="order"):
        compile_python(asked(datasets=["transactions.order"]), {}, with_dataset(bench, "order", problem="torn"))


def test_what_an_input_may_not_take_is_refused_with_its_name(governed: Any) -> None:
    words = refused(governed, PolicyRefused, inputs={"rich": "SELECT income FROM people"})
    assert words.startswith("In the input 'rich': ")
    assert "In the input 'x': There is no dataset 'nowhere'" in refused(
        governed, DatasetNotFound, inputs={"x": "FROM nowhere"}
    )
    assert "In the input 'x': " in refused(governed, DoesNotBind, inputs={"x": "SELECT amount + [1] FROM payments"})


def test_columns_of_an_input_need_names_of_their_own(bench: Any) -> None:
    assert "aliases" in refused(bench, BadFunction, inputs={"twice": "SELECT 1 AS a, 2 AS A"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a b"}, "python.name"),
        ({"code": "not base64!"}, "python.code"),
        ({"code": ""}, "python.code"),
        ({"code": base64.b64encode(bytes(MAX_PICKLE_BYTES + 1)).decode()}, "python.code"),
        ({"environment": PythonEnvironment(python="3.11.2")}, "python.environment.python"),
        ({"memory": "much"}, "python.memory"),
        ({"memory": "1MiB"}, "python.memory"),
        ({"inputs": {"a.b": "SELECT 1"}}, "python.inputs.a.b"),
        ({"inputs": {"_a": "SELECT 1"}}, "python.inputs._a"),
        ({"inputs": {"a": "SELECT 1", "A": "SELECT 1"}}, "python.inputs"),
        ({"datasets": ["transactions.order", "Transactions.Order"]}, "python.datasets"),
        ({"columns": {"a": "INTEGER", "A": "INTEGER"}}, "python.columns"),
        ({"columns": {"a": "INTEGER", "b": "nonsense"}}, "python.columns.b"),
        ({"columns": {"a": "INTEGER) AS x, (SELECT 1"}}, "python.columns.a"),
        ({"columns": {"a": "INTEGER) AS x --"}}, "python.columns.a"),
        ({"columns": {"a": "INTEGER) WHERE ((SELECT 1) = 1"}}, "python.columns.a"),
        ({"columns": {"a": "INTEGER) FROM read_csv('/etc/passwd') --"}}, "python.columns.a"),
        ({"columns": {"a": "STRUCT(x TYPE)"}}, "python.columns.a"),
        ({"columns": {"a": "TYPE"}}, "python.columns.a"),
        ({"columns": {"a": ""}}, "python.columns.a"),
        ({"columns": {"a": "DECIMAL(99,2)"}}, "python.columns.a"),
        ({"parameters": {"year": "complex"}}, "python.parameters.year"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(bench: Any, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadFunction) as refusal:
        planned(bench, **changes)
    assert refusal.value.data["field"] == field


@pytest.mark.parametrize(
    ("params", "name"), [({}, "year"), ({"year": "1997"}, "year"), ({"year": 1997, "month": 2}, "month")]
)
def test_parameters_are_held_against_their_types(bench: Any, params: dict[str, Any], name: str) -> None:
    with pytest.raises(BadArgument) as refusal:
        planned(bench, params, parameters={"year": "int"})
    assert refusal.value.data["name"] == name
    assert refusal.value.remedy == "Its parameters are: year: int."


def test_a_site_or_dataset_that_is_not_there_is_named(bench: Any) -> None:
    assert "no site 'moon'; there are core, edge" in refused(bench, BadFunction, site="moon")
    assert "'transactions.nowhere'" in refused(bench, DatasetNotFound, datasets=["transactions.nowhere"])


def test_types_come_back_as_duckdb_writes_them(bench: Any) -> None:
    columns = {"a": "int", "b": "STRUCT(x int, y varchar[])", "c": "timestamptz", "d": "ENUM('p', 'q')", "e": "int"}
    assert [column.type for column in planned(bench, columns=columns).columns] == [
        "INTEGER", "STRUCT(x INTEGER, y VARCHAR[])", "TIMESTAMP WITH TIME ZONE", "ENUM('p', 'q')", "INTEGER",
    ]  # fmt: skip


def test_the_plan_in_words_says_what_the_function_is_given_and_runs_with(bench: Any) -> None:
    text = explain_text(planned(bench, datasets=["transactions.order"], inputs={"people": "SELECT name FROM people"}))
    assert "dataset_0_query at core: a table that the function is given" in text
    assert "edge sends people to core" in text
    assert "python at core: the function score" in text
    assert "runs with 1 workers, 1.1 GB each" in text


def test_a_shown_plan_has_no_pickle(bench: Any) -> None:
    plan = planned(bench, datasets=["transactions.order"])
    shown = plan.without_pickles()
    assert shown.step("python").python.code.pickle == ""  # type: ignore[union-attr]  # it has one
    assert base64.b64encode(PICKLE).decode() not in shown.model_dump_json()
    assert shown.steps[0] == plan.steps[0]
