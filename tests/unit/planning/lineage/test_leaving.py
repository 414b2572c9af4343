"""What may leave, and the words in which the rest may not."""

from __future__ import annotations

import pytest

from datacanal.domain.errors import PolicyRefused
from datacanal.planning.lineage import Relation, Traced, check_leaving, output_labels
from datacanal.protocol.labels import Label, Origin, PolicyClass


def label(policy_class: PolicyClass, column: str = "c", **demands: object) -> Label:
    governed = policy_class not in ("public", "masked")
    origin = Origin(lake="bank", dataset="payments", column=column, policy_class=policy_class, **demands)  # type: ignore[arg-type]
    return Label(policy_class=policy_class, origins=[origin] if governed else [])


def refused(*labels: Label, inside_transfer: bool = False, reasons: dict[str, str] | None = None) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as error:
        check_leaving(labels, [f"x{n}" for n in range(len(labels))], reasons or {}, inside_transfer=inside_transfer)
    return error.value


@pytest.mark.parametrize("inside_transfer", [False, True])
def test_public_and_masked_values_leave(inside_transfer: bool) -> None:
    check_leaving([label("public"), label("masked")], ["a", "b"], {}, inside_transfer=inside_transfer)


def test_a_join_key_leaves_inside_a_transfer_only() -> None:
    check_leaving([label("join_key")], ["k"], {}, inside_transfer=True)
    assert refused(label("join_key")).data["column"] == "bank.payments.c"


def test_what_is_worked_out_of_a_join_key_does_not_even_travel() -> None:
    error = refused(label("join_key").derived(), inside_transfer=True)
    assert str(error.data["rule"]).startswith("its class is join_key")


def test_rows_that_depend_on_a_join_key_do_not_even_travel() -> None:
    relation = Relation((Traced(label("public")),), label("join_key").derived())
    assert refused(*output_labels(relation), inside_transfer=True).data["column"] == "bank.payments.c"


def test_values_that_passed_a_protected_aggregate_leave() -> None:
    check_leaving([label("aggregate").released()], ["s"], {}, inside_transfer=False)


@pytest.mark.parametrize("policy_class", ["secret", "aggregate"])
def test_secrets_and_single_measures_never_leave(policy_class: PolicyClass) -> None:
    error = refused(label(policy_class), inside_transfer=True)
    assert f"its class is {policy_class}" in str(error.data["rule"])


def test_the_strictest_of_several_columns_is_named() -> None:
    error = refused(label("join_key", "k"), label("secret", "s"), label("aggregate", "a"))
    assert error.data["column"] == "bank.payments.s"


def test_the_refusal_says_how_the_column_is_used() -> None:
    named = refused(label("secret"), reasons={"bank.payments.c": "in GROUP BY"})
    assert "It is used in GROUP BY." in named.detail
    assert "It is used as the column 'x0'." in refused(label("secret")).detail


def test_the_hint_of_an_aggregate_names_its_boundaries() -> None:
    assert "0, 1000" in refused(label("aggregate", buckets=["0", "1000"], entity="e", min_group=5)).remedy
    assert "in WHERE" not in refused(label("aggregate", entity="e", min_group=5)).remedy


def test_a_label_without_an_origin_is_refused_too() -> None:
    assert refused(Label(policy_class="secret")).data["column"] == "x0"


def test_an_origin_of_a_class_that_could_leave_is_no_excuse() -> None:
    odd = Label(policy_class="secret", origins=[Origin(lake="l", dataset="d", column="c", policy_class="masked")])
    assert "its class is masked" in refused(odd).detail
