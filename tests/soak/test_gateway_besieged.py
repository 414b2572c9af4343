"""500 half-open connections for a minute: whoever asks properly waits at most twice as long."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.integration.test_gateway_process import gateway
from tests.products import ProductHome

CONNECTIONS = 500
FOR_S = 60.0
PATH = "/v1/products/pub.bars/data?sec_id=000001.XSHE"
HALF = b"GET /v1/products HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_half_open_connections_at_most_double_the_wait_of_others(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.stable("pub.bars")
    token = home.token("dev")
    with gateway(tmp_path, home) as process:
        host, _, port = process.address.rpartition(":")
        alone, besieged = asyncio.run(measured(host, int(port), token))
    assert besieged <= 2 * alone, f"p99 alone {alone * 1000:.2f} ms, besieged {besieged * 1000:.2f} ms"


async def measured(host: str, port: int, token: str) -> tuple[float, float]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", headers=headers, trust_env=False) as client:
        await p99(client, 2.0)
        alone = await p99(client, FOR_S)
        slow = [asyncio.create_task(half_open(host, port, number)) for number in range(CONNECTIONS)]
        besieged = await p99(client, FOR_S)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return alone, besieged


async def p99(client: httpx.AsyncClient, for_s: float) -> float:
    """Of one request every 10 ms."""
    waits, until = [], time.monotonic() + for_s
    while time.monotonic() < until:
        began_at = time.perf_counter()
        assert (await client.get(PATH)).status_code == 200
        waits.append(time.perf_counter() - began_at)
        await asyncio.sleep(0.01)
    return sorted(waits)[int(len(waits) * 0.99)]


async def half_open(host: str, port: int, number: int) -> None:
    """A head that never ends, a letter a second; begun again whenever the gateway has had enough."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(number / CONNECTIONS)
    while True:
        with socket.create_connection((host, port)) as slow, suppress(ConnectionError):
            slow.setblocking(False)
            await loop.sock_sendall(slow, HALF)
            while True:
                await asyncio.sleep(1)
                await loop.sock_sendall(slow, b"x")
