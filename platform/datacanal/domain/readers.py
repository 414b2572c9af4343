"""Who may use a dataset: its readers, and whoever holds a grant for the purpose at hand. One rule for both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol


class GivenGrant(Protocol):
    """A grant that names the dataset: `to` is "group:NAME" or "principal:NAME"."""

    @property
    def to(self) -> str: ...

    @property
    def purpose(self) -> str: ...

    @property
    def expires_s(self) -> int: ...


def may_read(
    readers: Collection[str] | None,
    grants: Iterable[GivenGrant],
    *,
    principal: str,
    groups: Collection[str],
    purpose: str | None,
    now_s: float,
) -> str | None:
    """None where the principal may use the dataset for the purpose, else the reason why not, in words.

    `readers` None is every analyst. A grant counts from the moment it is written until, not including, it expires.
    """
    names = {f"principal:{principal}", *(f"group:{group}" for group in groups)}
    if readers is None or names.intersection(readers):
        return None
    own = [grant for grant in grants if grant.to in names]
    fitting = [grant for grant in own if grant.purpose == purpose]
    if any(now_s < grant.expires_s for grant in fitting):
        return None
    if fitting:
        return f"the grant for the purpose {purpose!r} has expired"
    if own:
        purposes = ", ".join(sorted({repr(grant.purpose) for grant in own}))
        return f"the grant is for the purpose {purposes}, not for {'none' if purpose is None else repr(purpose)}"
    return "neither the user nor a group of theirs is among the readers, and no grant names them"
