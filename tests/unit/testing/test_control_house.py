"""The control plane for tests leaves nothing behind, however the test ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from datacanal.testing.control_house import control_house


def test_a_house_whose_test_fails_frees_its_port(tmp_path: Path) -> None:
    url = ""

    async def failing() -> None:
        nonlocal url
        async with control_house(tmp_path) as house:
            url = house.url
            raise AssertionError("what the test says")

    async def story() -> None:
        with pytest.raises(AssertionError, match="what the test says"):
            await failing()
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))

    asyncio.run(story())
