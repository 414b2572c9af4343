"""Addresses for pools."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from datacanal.site.launcher.subnets import free_subnets, routed_here

TABLE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_every_subnet_of_the_range_is_tried_once_from_any_start() -> None:
    found = list(free_subnets(IPv4Network("10.0.0.0/24"), [], start=1_000_003))
    assert sorted(found) == list(IPv4Network("10.0.0.0/24").subnets(new_prefix=27))
    assert found[0] == IPv4Network("10.0.0.96/27")


def test_what_somebody_has_is_left_out() -> None:
    taken = [IPv4Network("10.0.0.0/25"), IPv4Network("10.0.0.190/32"), IPv4Network("172.17.0.0/16")]
    found = list(free_subnets(IPv4Network("10.0.0.0/24"), taken, start=0))
    assert [str(subnet) for subnet in found] == ["10.0.0.128/27", "10.0.0.192/27", "10.0.0.224/27"]


def test_routes_of_the_machine_are_read_but_for_the_default(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(TABLE)
    assert routed_here(table) == [IPv4Network("172.17.0.0/16"), IPv4Network("192.0.2.0/24")]
