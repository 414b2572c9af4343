"""Which addresses the next pool's network gets. Pure but for the look at this machine's own routes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from datacanal.launcher_section import POOL_PREFIX

_ROUTES = Path("/proc/net/route")


def free_subnets(of: IPv4Network, taken: Iterable[IPv4Network], start: int) -> Iterator[IPv4Network]:
    """Every /27 of the range that nobody has, beginning at the `start`th and around.

    Launchers that share an engine begin at different ones, so that they rarely ask for the same.
    """
    used = list(taken)
    count = 1 << (POOL_PREFIX - of.prefixlen)
    size = 1 << (of.max_prefixlen - POOL_PREFIX)
    for number in range(count):
        candidate = IPv4Network((of.network_address + (start + number) % count * size, POOL_PREFIX))
        if not any(candidate.overlaps(network) for network in used):
            yield candidate


def routed_here(table: Path = _ROUTES) -> list[IPv4Network]:
    """The networks that this machine has a route to, but for the default route."""
    fields = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    networks = [IPv4Network((_address(line[1]), str(_address(line[7])))) for line in fields]
    return [network for network in networks if network.prefixlen]


def _address(hexadecimal: str) -> IPv4Address:
    """Of the kernel's table, which has numbers as the machine holds them."""
    return IPv4Address(socket.inet_ntoa(struct.pack("=I", int(hexadecimal, 16))))
