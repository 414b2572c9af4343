"""What a function takes along and what it expects at the other end: found by following its names, never by running it.

Functions of a notebook and of the author's own files (modules that belong to no installed distribution) travel by
value, with all that they use; everything else is a package that the site must have too.
"""

from __future__ import annotations

import dis
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from datacanal.domain.errors import FunctionNotSendable

_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
# Of the same version wherever it runs: agents and control plane see to that.
_OURS = "datacanal"
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_NO_SOURCE = "# The source of {name} is not to be had: it was not read from a file or a cell."


class Journey:
    """`modules` travel by value, `packages` are distributions' top-level modules, `variables` what is used by name.

    `owners` are the distributions of every top-level module that is installed now; a notebook may install more later.
    """

    def __init__(self, function: FunctionType) -> None:
        self.modules: list[ModuleType] = []
        self.packages: set[str] = set()
        self.sources: list[str] = []
        self.variables: dict[str, object] = {}
        self._function = function
        self.owners = packages_distributions()
        self._seen: set[int] = set()

    def meet(self, value: object) -> None:
        """Follow a value that is used."""
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        inner = inspect.getattr_static(value, "__wrapped__", None)
        if isinstance(value, ModuleType):
            self._meet_module(value)
        elif isinstance(value, FunctionType):
            self._meet_function(value)
        elif isinstance(inner, FunctionType):
            self.meet(inner)
        elif isinstance(value, type):
            self._meet_class(value)
        else:
            self._meet_object(value)

    def _meet_module(self, module: ModuleType) -> None:
        if not self._travels(module.__name__):
            return
        self._take(module)
        self._add_source(module)
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                self.meet(value)

    def _meet_function(self, function: FunctionType) -> None:
        # What is submitted goes by value wherever it was defined.
        if not self._travels(function.__module__) and function is not self._function:
            return
        self._take(sys.modules.get(function.__module__))
        self._add_source(function)
        reads = {name for code in _codes(function.__code__) for name in _read_names(code)}
        for name in sorted(reads & function.__globals__.keys()):
            self._use(name, function.__globals__[name])
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._use(name, _held(cell))
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.meet(value)
        for name in (name for code in _codes(function.__code__) for name in _imported_names(code)):
            self._import_inside(function, name)

    def _meet_class(self, kind: type) -> None:
        if not self._travels(kind.__module__):
            return
        self._take(sys.modules.get(kind.__module__))
        self._add_source(kind)
        for value in (*kind.__bases__, *vars(kind).values()):
            self.meet(value.fget if isinstance(value, property) else getattr(value, "__func__", value))

    def _meet_object(self, value: object) -> None:
        self.meet(type(value))
        if isinstance(value, list | tuple | set | frozenset):
            self._meet_all(value)
        elif isinstance(value, dict):
            self._meet_all(value.values())
        elif self._travels(type(value).__module__):
            self._meet_all(_attributes(value))

    def _meet_all(self, values: Iterable[object]) -> None:
        for value in values:
            self.meet(value)

    def _use(self, name: str, value: object) -> None:
        if not isinstance(value, ModuleType | FunctionType | type):
            self.variables.setdefault(name, value)
        self.meet(value)

    def _import_inside(self, function: FunctionType, name: str) -> None:
        """A package is looked for where the function runs; a file of the author's own would not be found there."""
        if name in sys.modules or _exists(name):
            if not self._travels(name.partition(".")[0]):
                return
            reason = f"{function.__name__} imports {name!r} inside, a file of your own that the site does not have"
            hint = f"Import {name!r} at the top, outside the function: then it is sent along."
            raise FunctionNotSendable(function=self._function.__name__, reason=reason, hint=hint)

    def _travels(self, module: str | None) -> bool:
        """Whether what is defined there goes by value. What is a package's is noted."""
        top = (module or "builtins").partition(".")[0]
        if top == "__main__":
            return True
        if top in sys.stdlib_module_names or top in sys.builtin_module_names or top == _OURS:
            return False
        if top in self.owners or _is_installed(sys.modules.get(top)):
            self.packages.add(top)
            return False
        return True

    def _take(self, module: ModuleType | None) -> None:
        """Have it pickled by value; a module that was made, not imported, is anyway."""
        is_imported = module is not None and sys.modules.get(module.__name__) is module
        if module is not None and is_imported and module.__name__ != "__main__" and module not in self.modules:
            self.modules.append(module)

    def _add_source(self, thing: Any) -> None:
        try:
            source = textwrap.dedent(inspect.getsource(thing)).strip()
        except (OSError, TypeError):
            source = _NO_SOURCE.format(name=getattr(thing, "__qualname__", thing.__name__))
        # A method stands in the source of its class, a helper in that of its module.
        if not any(source in other for other in self.sources):
            self.sources.append(source)


def travel(function: FunctionType) -> Journey:
    """Follow the function. Raises `FunctionNotSendable` for an import that cannot work at the other end."""
    journey = Journey(function)
    journey.meet(function)
    return journey


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code and all code inside it: inner functions, comprehensions, classes."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _read_names(code: CodeType) -> Iterator[str]:
    return (str(each.argval) for each in dis.get_instructions(code) if each.opname in _READS)


def _imported_names(code: CodeType) -> Iterator[str]:
    return (str(each.argval) for each in dis.get_instructions(code) if each.opname == "IMPORT_NAME" and each.argval)


def _attributes(value: object) -> list[object]:
    """What the object holds, without asking the object."""
    try:
        return list(object.__getattribute__(value, "__dict__").values())
    except AttributeError:  # it has slots, and what is in them is not looked for
        return []


def _held(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # a name that gets its value only later
        return None


def _exists(name: str) -> bool:
    try:
        return find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _is_installed(module: ModuleType | None) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and not _INSTALLED.isdisjoint(Path(file).parts)
