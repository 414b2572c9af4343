"""What a container can reach. `listening`: the ports that it offers; `datasets`: what lies in a lake that it has;
`reach HOST:PORT …`: which of those it gets to.

Prints JSON. Needs nothing but Python, as it is run in every container, pools' too.
"""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LISTEN = "0A"
_LOOPBACK = "0100007F"
_WITHIN_S = 1.5
_AT_ONCE = 32
LAKE = Path("/srv/datacanal/lake")


def listening() -> list[int]:
    """TCP ports (IPv4) that are not for this container alone."""
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    places = [field[1].split(":") for field in fields if field[3] == _LISTEN]
    return sorted({int(port, 16) for address, port in places if address != _LOOPBACK})


def opened(place: str) -> bool:
    """Whether a TCP connection to `host:port` comes about."""
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _WITHIN_S):
            return True
    except OSError:
        return False


def datasets() -> list[str]:
    """Those of a lake that is here, none where there is no lake."""
    return sorted(path.name for path in LAKE.iterdir()) if LAKE.is_dir() else []


def reach(*places: str) -> list[str]:
    """Those of the places where a connection comes about."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        are_open = list(threads.map(opened, places))
    return [place for place, is_open in zip(places, are_open, strict=True) if is_open]


if __name__ == "__main__":
    task = {"listening": listening, "datasets": datasets, "reach": reach}[sys.argv[1]]
    print(json.dumps(task(*sys.argv[2:])))
