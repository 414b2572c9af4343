"""Who may do what: one table from action to roles, and the rule whose jobs one sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from datacanal.domain.errors import Forbidden


class Action(StrEnum):
    """What a route does, in words that finish the sentence “the role … may not …”."""

    SUBMIT_JOBS = "submit jobs"
    READ_JOBS = "read jobs"
    READ_RESULTS = "read results"
    READ_LOGS = "read logs"
    READ_CATALOGUE = "read the catalogue"
    REFRESH_CATALOGUE = "refresh the catalogue"
    READ_SITES = "read sites"
    MANAGE_TOKENS = "manage tokens"
    MANAGE_SCHEDULES = "manage schedules"
    READ_PRODUCTS = "read products"
    MANAGE_PRODUCTS = "manage products"
    MANAGE_SUBSCRIPTIONS = "manage subscriptions and keys"
    DECIDE_SUBSCRIPTIONS = "decide on subscriptions"
    READ_USAGE = "read usage and invoices"
    CREDIT_INVOICES = "issue credit notes"
    CLOSE_PERIODS = "close periods"


_EVERYBODY_WITH_DATA = frozenset({"admin", "analyst", "publisher", "steward"})

PERMITTED: dict[Action, frozenset[str]] = {
    Action.SUBMIT_JOBS: frozenset({"admin", "analyst", "publisher"}),
    Action.READ_JOBS: frozenset({"admin", "analyst", "publisher"}),
    Action.READ_RESULTS: frozenset({"admin", "analyst", "publisher"}),
    Action.READ_LOGS: _EVERYBODY_WITH_DATA,
    Action.READ_CATALOGUE: _EVERYBODY_WITH_DATA,
    Action.REFRESH_CATALOGUE: _EVERYBODY_WITH_DATA | {"operator"},
    Action.READ_SITES: _EVERYBODY_WITH_DATA | {"operator"},
    Action.MANAGE_TOKENS: frozenset({"admin", "operator"}),
    Action.MANAGE_SCHEDULES: frozenset({"admin", "analyst", "publisher"}),
    Action.READ_PRODUCTS: _EVERYBODY_WITH_DATA | {"developer"},
    Action.MANAGE_PRODUCTS: frozenset({"admin", "publisher"}),
    Action.MANAGE_SUBSCRIPTIONS: frozenset({"admin", "analyst", "developer", "publisher"}),
    Action.DECIDE_SUBSCRIPTIONS: frozenset({"admin", "publisher"}),
    Action.READ_USAGE: frozenset({"admin", "analyst", "developer", "publisher"}),
    Action.CREDIT_INVOICES: frozenset({"admin", "publisher"}),
    Action.CLOSE_PERIODS: frozenset({"admin"}),
}

_GRANTABLE_BY_OPERATOR = frozenset({"operator", "site"})


@dataclass(frozen=True)
class Principal:
    """Who calls: `name` is what jobs belong to; of the role `site`, the site's, which its certificate proves."""

    tenant: str
    name: str
    role: str
    groups: tuple[str, ...] = ()


def check_permitted(principal: Principal, action: Action) -> None:
    """Raise `Forbidden` unless the principal's role may do this."""
    allowed = PERMITTED[action]
    if principal.role not in allowed:
        raise Forbidden(role=principal.role, action=action.value, allowed=", ".join(sorted(allowed)))


def check_may_grant(principal: Principal, role: str) -> None:
    """An operator runs sites and never reaches data, so it may not make itself a token that does."""
    if principal.role != "admin" and role not in _GRANTABLE_BY_OPERATOR:
        raise Forbidden(role=principal.role, action=f"manage tokens of the role {role!r}", allowed="admin")


def sees_job(principal: Principal, tenant: str, owner: str) -> bool:
    """A job is seen by its submitter, and by the admins of its tenant; to everybody else it does not exist."""
    return principal.tenant == tenant and (principal.role == "admin" or principal.name == owner)


def reads_logs(principal: Principal, tenant: str, owner: str) -> bool:
    """Logs of a job are read by who sees the job, and by the stewards of its tenant."""
    return sees_job(principal, tenant, owner) or (principal.tenant == tenant and principal.role == "steward")


def owns_product(principal: Principal, tenant: str, owner: str) -> bool:
    """A product is its publisher's, and that of the admins of its tenant."""
    return principal.tenant == tenant and (principal.role == "admin" or principal.name == owner)


def is_named(principal: Principal, names: Iterable[str]) -> bool:
    """Whether the principal, or one of its groups, is among `principal:NAME` and `group:NAME`."""
    own = {f"principal:{principal.name}", *(f"group:{group}" for group in principal.groups)}
    return not own.isdisjoint(names)
