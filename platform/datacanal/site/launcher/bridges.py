"""This machine's end of a pool's network: a bridge that takes in nothing of what its containers send.

A bridge without an address is the host's all the same. A container that sends over its own device, past its routes, to
one of the host's addresses or to everybody would be heard by whatever listens there; only the answers would be lost.
The kernel's strict check of the way back drops it, for this machine has no route to a pool's addresses.
"""

from __future__ import annotations

from pathlib import Path

_SETTINGS = Path("/proc/sys/net/ipv4/conf")
_STRICT, _LOOSE = "1", "2"


def shut_bridge(network: str, settings: Path = _SETTINGS) -> str:
    """Shut the bridge of the network with this id. Why it may be open still; empty where it is shut."""
    try:
        (settings / f"br-{network[:12]}" / "rp_filter").write_text(_STRICT, "ascii")
        everywhere = (settings / "all" / "rp_filter").read_text("ascii").strip()
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    # The kernel takes the larger of the two.
    return "net.ipv4.conf.all.rp_filter is 2" if everywhere == _LOOSE else ""
