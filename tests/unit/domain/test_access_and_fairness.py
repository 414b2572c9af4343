"""Who may do what, and who is next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacanal.domain.access import PERMITTED, Action, Principal, check_may_grant, check_permitted, sees_job
from datacanal.domain.errors import Forbidden
from datacanal.domain.fairness import Limits, Queued, choose_next, why_queued

LIMITS = Limits(running_jobs=3, running_jobs_per_user=2)


def principal(role: str, name: str = "ana", tenant: str = "default") -> Principal:
    return Principal(tenant, name, role)


def test_every_action_has_its_roles() -> None:
    assert set(PERMITTED) == set(Action)


def test_an_admin_may_do_what_an_analyst_may() -> None:
    assert all("admin" in roles for roles in PERMITTED.values() if "analyst" in roles)


@pytest.mark.parametrize("action", [Action.SUBMIT_JOBS, Action.READ_JOBS, Action.READ_RESULTS, Action.READ_CATALOGUE])
def test_an_operator_reaches_no_data(action: Action) -> None:
    with pytest.raises(Forbidden):
        check_permitted(principal("operator"), action)


def test_a_site_s_token_is_good_for_its_join_and_for_no_action() -> None:
    assert not [action for action, roles in PERMITTED.items() if "site" in roles]


def test_an_operator_cannot_make_itself_a_token_that_reaches_data() -> None:
    check_may_grant(principal("operator"), "site")
    with pytest.raises(Forbidden):
        check_may_grant(principal("operator"), "analyst")


def test_a_job_is_seen_by_its_submitter_and_by_admins_of_its_tenant_only() -> None:
    assert sees_job(principal("analyst"), "default", "ana")
    assert sees_job(principal("admin", "root"), "default", "ana")
    assert not sees_job(principal("analyst", "ben"), "default", "ana")
    assert not sees_job(principal("admin", "root", "other"), "default", "ana")


def test_the_user_who_runs_least_is_next_and_then_the_oldest_job() -> None:
    queued = [Queued("job_1", "ana"), Queued("job_2", "ben"), Queued("job_3", "eva")]
    assert choose_next(queued, {"ana": 1}, LIMITS) == Queued("job_2", "ben")


def test_nobody_is_next_while_the_limit_is_reached() -> None:
    assert choose_next([Queued("job_1", "ana")], {"ben": 3}, LIMITS) is None
    assert choose_next([Queued("job_1", "ana")], {"ana": 2}, LIMITS) is None


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abc")), max_size=20),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
)
def test_the_oldest_job_of_each_user_is_enough_to_choose(items: list[tuple[int, str]], running: dict[str, int]) -> None:
    queued = [Queued(f"job_{number:03}_{place:02}", user) for place, (number, user) in enumerate(items)]
    oldest = [
        min((q for q in queued if q.principal == user), key=lambda q: q.job) for user in {q.principal for q in queued}
    ]
    assert choose_next(queued, running, LIMITS) == choose_next(oldest, running, LIMITS)


def test_a_queued_job_says_which_limit_holds_it_back() -> None:
    assert "3 jobs run and the limit is 3" in why_queued("ana", 0, {"ben": 3}, LIMITS)
    assert "you run 2 jobs and the limit per user is 2" in why_queued("ana", 4, {"ana": 2}, LIMITS)
    assert "behind 4 of your own jobs" in why_queued("ana", 4, {"ana": 2}, LIMITS)
