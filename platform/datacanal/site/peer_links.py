"""The ways to other sites' exchanges: one client per pinned site, which trusts that site's certificate alone."""

from __future__ import annotations

import httpx

from datacanal.certificates import Certificate
from datacanal.serving.tls import KeyPair, pinned_client
from datacanal.site.peers import Peers

KEEP_ALIVE_S = 60


class PeerLinks:
    """Keeps connections, so that a fetch costs no handshake. The owner closes it."""

    def __init__(self, own: KeyPair, peers: Peers) -> None:
        self._own = own
        self._peers = peers
        self._clients: dict[str, tuple[Certificate, httpx.AsyncClient]] = {}
        self._replaced: list[httpx.AsyncClient] = []

    def client(self, site: str) -> httpx.AsyncClient:
        """The client for this site as it is pinned now. Raises `PeerUnknown`."""
        pinned = self._peers.certificate_of(site)
        known = self._clients.get(site)
        if known is None or known[0] != pinned:
            if known is not None:
                self._replaced.append(known[1])
            known = self._clients[site] = (pinned, secured_client(pinned.pem, self._own))
        return known[1]

    async def close(self) -> None:
        """Give the connections back."""
        for client in [*self._replaced, *(client for _, client in self._clients.values())]:
            await client.aclose()


def secured_client(server: str, own: KeyPair) -> httpx.AsyncClient:
    """A client that shows its certificate to the holder of this one (PEM) and talks to nobody else.

    Proxies of the environment are not for our traffic.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=KEEP_ALIVE_S)
    return httpx.AsyncClient(verify=pinned_client(server, own), limits=limits, trust_env=False)
