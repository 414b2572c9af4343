"""The bounds of a specification."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.site.launcher.ground import specification

from datacanal.domain.errors import BadField
from datacanal.serving.strict_json import parse_document
from datacanal.site.launcher.specification import ContainerSpecification, Hello, PoolNetwork

SOUND = specification().model_dump(mode="json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "-a"),
        ("name", "a.b"),
        ("name", "A"),
        ("name", "a\n"),
        ("name", "a" * 49),
        ("role", "root"),
        ("pool", "../p"),
        ("boot", "xyz"),
        ("boot", "a" * 7),
        ("memory_bytes", 32 * 2**20 - 1),
        ("memory_bytes", 2**43),
        ("memory_bytes", "1GiB"),
        ("cpus", 0),
        ("cpus", 1025),
        ("lakes", ["payments", "payments"]),
        ("lakes", [f"l{number}" for number in range(65)]),
        ("stage", "."),
        ("stage", ".."),
        ("channel", "a/b"),
        ("channel", None),
        ("tmp_bytes", 0),
        ("work_bytes", 2**41),
        ("image", "debian:12"),
        ("image", "sha256:12"),
        ("job", "a b"),
        ("step", ""),
        ("fence", -1),
        ("fence", 2**63),
        ("privileged", True),
        ("command", ["sh"]),
    ],
)
def test_what_is_out_of_bounds_or_not_known_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(BadField) as refusal:
        parse_document(ContainerSpecification, json.dumps({**SOUND, field: value}).encode())
    assert str(refusal.value.data["field"]).partition(".")[0] in (field, "body")


@pytest.mark.parametrize("role", ["scheduler", "driver", "job_scheduler", "job_worker"])
def test_scratch_is_for_runners_and_workers_only(role: str) -> None:
    with pytest.raises(BadField, match="scratch is for runner and worker"):
        parse_document(ContainerSpecification, json.dumps({**SOUND, "role": role}).encode())


def test_what_a_client_sends_is_what_the_launcher_reads() -> None:
    for sent in (specification(fence=1, job="j"), PoolNetwork(pool="p1", boot="ab" * 8), Hello(boot="ab" * 8)):
        assert parse_document(type(sent), sent.model_dump_json().encode()) == sent
