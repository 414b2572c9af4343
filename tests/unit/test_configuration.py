"""The configuration file's sections that only the control plane reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from datacanal.configuration import load_configuration
from datacanal.domain.errors import BadConfiguration


def written(folder: Path, text: str) -> Path:
    file = folder / "datacanal.toml"
    file.write_text(text)
    return file


def test_all_rules_of_the_planner_are_in_force_unless_switched_off(tmp_path: Path) -> None:
    planning = load_configuration(written(tmp_path, "")).planning
    assert (planning.subtrees, planning.join_groups) == (True, True)
    planning = load_configuration(written(tmp_path, "[planning]\njoin_groups = false")).planning
    assert (planning.subtrees, planning.join_groups) == (True, False)


@pytest.mark.parametrize("text", ["[planning]\nsubtree = true", '[planning]\nsubtrees = "sometimes"'])
def test_a_rule_that_is_not_known_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        load_configuration(written(tmp_path, text))
    assert str(refusal.value.data["key"]).startswith("planning.subtree")
