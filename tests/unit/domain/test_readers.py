"""Who may use a dataset: readers, and grants with their purpose and end."""

from dataclasses import dataclass

import pytest

from datacanal.domain.readers import may_read


@dataclass(frozen=True)
class Given:
    to: str
    purpose: str
    expires_s: int


FRAUD = Given("group:audit", "fraud", 1000)


@pytest.mark.parametrize(
    ("readers", "grants", "purpose", "now_s", "reason"),
    [
        (None, [], None, 0, None),
        (["group:risk"], [], None, 0, None),
        (["principal:ana"], [], None, 0, None),
        (["principal:risk", "group:ana"], [], None, 0, "neither the user"),
        (["group:Risk"], [], None, 0, "neither the user"),
        ([], [], None, 0, "neither the user"),
        ([], [FRAUD], "fraud", 999.9, None),
        ([], [FRAUD], "fraud", 1000, "expired"),
        ([], [FRAUD], "Fraud", 0, "purpose 'fraud', not for 'Fraud'"),
        ([], [FRAUD], None, 0, "not for none"),
        ([], [FRAUD, Given("principal:ana", "fraud", 2000)], "fraud", 1500, None),
        ([], [Given("group:other", "fraud", 1000)], "fraud", 0, "no grant names them"),
        (["group:other"], [FRAUD], "fraud", 0, None),
    ],
)
def test_who_may_use_a_dataset(
    readers: list[str] | None, grants: list[Given], purpose: str | None, now_s: float, reason: str | None
) -> None:
    found = may_read(readers, grants, principal="ana", groups=["risk", "audit"], purpose=purpose, now_s=now_s)
    assert (found is None) if reason is None else (found is not None and reason in found)
