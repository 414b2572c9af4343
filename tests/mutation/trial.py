"""One trial, in a process of its own: the tests named on standard input, with one module changed, decide the exit."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[2] / "platform"


class ChangedModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a source in the place of a module."""

    def __init__(self, module: str, source: str) -> None:
        self._module = module
        self._source = source

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """See `MetaPathFinder`."""
        if name != self._module:
            return None
        folder = SOURCE.joinpath(*name.split("."))
        file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        spec = importlib.util.spec_from_loader(name, self, origin=str(file), is_package=folder.is_dir())
        if spec is not None and folder.is_dir():
            spec.submodule_search_locations = [str(folder)]
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """See `Loader`."""
        assert module.__spec__ is not None
        exec(compile(self._source, str(module.__spec__.origin), "exec"), module.__dict__)  # noqa: S102  # its purpose


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    sys.meta_path.insert(0, ChangedModule(given["module"], given["source"]))
    sys.exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *given["tests"]])))
