"""What all tests share: the plugins, and that long runs only happen when asked for."""

import pytest

pytest_plugins = [
    "pytester",
    "tests.plugins.services",
    "tests.plugins.skips",
    "tests.plugins.tpch",
    "tests.plugins.estate",
    "tests.plugins.engine",
    "tests.plugins.postgres",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" in (config.option.markexpr or ""):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="a long run: make soak"))
