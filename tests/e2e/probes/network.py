"""Ways out of the job's own network, and into others."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
from pathlib import Path

from tests.e2e.probes.attempt import NO_NAME, NOTHING, TIMEOUT, Facts, Probe, first_through, probe

_PATIENCE_S = 0.7
_WALLS = ("ENETUNREACH", "EHOSTUNREACH", TIMEOUT)
"""Not ECONNREFUSED: whoever refuses was reached."""


def connected(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as line:
        line.settimeout(_PATIENCE_S)
        line.connect((host, port))
        return True


def connected_6(host: str, port: int, scope: int = 0) -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as line:
        line.settimeout(_PATIENCE_S)
        line.connect((host, port, 0, scope))
        return True


def shook_hands(address: tuple[str, int]) -> str | None:
    """With the job's own certificate."""
    context = ssl.create_default_context(cafile="/work/tls/ca.pem")
    context.check_hostname = False
    context.load_cert_chain("/work/tls/cert.pem", "/work/tls/key.pem")
    with socket.create_connection(address, _PATIENCE_S) as line, context.wrap_socket(line) as secured:
        return secured.version()


def gateway() -> str:
    """The first address of the pool's network: where a bridge has its own."""
    own = socket.gethostbyname(socket.gethostname())
    return str(next(ipaddress.ip_network(f"{own}/27", strict=False).hosts()))


def datagram(host: str, port: int) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(_PATIENCE_S)
        line.sendto(_question(), (host, port))
        return _answer(line.recv(512))


def _question() -> bytes:
    name = b"".join(bytes([len(part)]) + part for part in (b"example", b"com")) + b"\0"
    return struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1)


def _answer(reply: bytes) -> bytes | None:
    answers = struct.unpack(">6H", reply[:12])[3]
    return reply if answers else None


def interfaces() -> list[str]:
    """Besides the loopback and the job's network."""
    return sorted(name for _, name in socket.if_nameindex() if name not in ("lo", "eth0"))


def abstract() -> list[str]:
    """Sockets without a file, that others of the machine may listen on."""
    return [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "@" in line]


def looked_up(name: str) -> str:
    return socket.gethostbyname(name)


def other(name: str) -> Probe:
    return probe(lambda facts: connected(*facts.others[name]), *_WALLS, opens=False)


def on_hosts(facts: Facts, port: int) -> object:
    places = (facts.host, "172.17.0.1", gateway())
    return first_through(lambda place=place: connected(place, port) for place in places)


OTHERS = (
    "the other job's scheduler",
    "the other job's worker",
    "the SQL pool's scheduler",
    "the other site's SQL pool",
)

NETWORK = {
    **{name: other(name) for name in OTHERS},
    "the other job's scheduler with this job's key": probe(
        lambda facts: shook_hands(facts.others["the other job's scheduler"]), *_WALLS, opens=False
    ),
    "the other job's scheduler by name": probe(lambda _: looked_up("python-1-scheduler"), NO_NAME, opens=False),
    "Docker's bridge address": probe(lambda facts: connected("172.17.0.1", facts.listener), *_WALLS, opens=False),
    "its own network's first address": probe(lambda facts: connected(gateway(), facts.listener), *_WALLS, opens=False),
    "the host's own address": probe(lambda facts: connected(facts.host, facts.listener), *_WALLS),
    "the control plane by the host's addresses": probe(
        lambda facts: on_hosts(facts, facts.control), *_WALLS, opens=False
    ),
    "the control plane on the loopback": probe(lambda facts: connected("127.0.0.1", facts.control), "ECONNREFUSED"),
    "the exchange by the host's addresses": probe(lambda facts: on_hosts(facts, facts.exchange), *_WALLS, opens=False),
    "the exchange on the loopback": probe(lambda facts: connected("127.0.0.1", facts.exchange), "ECONNREFUSED"),
    "ssh of the host": probe(lambda facts: on_hosts(facts, 22), *_WALLS, opens=False),
    "Docker over the network": probe(lambda facts: on_hosts(facts, 2375), *_WALLS, opens=False),
    "the internet": probe(lambda _: connected("1.1.1.1", 443), *_WALLS, opens=False),
    "the metadata address": probe(lambda _: connected("169.254.169.254", 80), *_WALLS, opens=False),
    "the internet by IPv6": probe(
        lambda _: connected_6("2606:4700:4700::1111", 443), *_WALLS, "EADDRNOTAVAIL", opens=False
    ),
    "the neighbours by IPv6": probe(
        lambda facts: connected_6("fe80::1", facts.listener, socket.if_nametoindex("eth0")),
        *_WALLS,
        "EADDRNOTAVAIL",
        NO_NAME,
        opens=False,
    ),
    "a name of the internet": probe(lambda _: looked_up("example.com"), NO_NAME, opens=False),
    "the metadata's name": probe(lambda _: looked_up("metadata.google.internal"), NO_NAME, opens=False),
    "the host's name from Docker": probe(lambda _: looked_up("host.docker.internal"), NO_NAME, opens=False),
    "the engine's name server": probe(
        lambda _: datagram("127.0.0.11", 53), NOTHING, "ECONNREFUSED", TIMEOUT, opens=False
    ),
    "a public name server": probe(lambda _: datagram("1.1.1.1", 53), "ENETUNREACH", TIMEOUT, opens=False),
    "another interface": probe(lambda _: interfaces(), NOTHING),
    "sockets without files": probe(lambda _: abstract(), NOTHING),
}


def shout(facts: Facts) -> None:
    """A datagram to everybody, and to every address that the host may have here. That it can be sent says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for place in ("255.255.255.255", gateway(), facts.host, "172.17.0.1"):
            with contextlib.suppress(OSError):
                line.sendto(b"a job was here", (place, facts.datagrams))
