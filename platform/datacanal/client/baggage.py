"""What is sent of a function: its pickle, its source, and the environment that it was written in."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import FunctionType, ModuleType

from datacanal.client.journey import Journey, travel
from datacanal.domain.errors import FunctionNotSendable
from datacanal.protocol.plan import PythonEnvironment
from datacanal.protocol.public import MAX_PICKLE_BYTES, MAX_SOURCE


@dataclass(frozen=True)
class Bundle:
    """`code` is the pickle in base64."""

    code: str
    source: str
    environment: PythonEnvironment


def packed(function: FunctionType) -> Bundle:
    """The function with all that it needs from here. Raises `FunctionNotSendable`, naming what cannot go along."""
    journey = travel(function)
    pickle = _pickled(function, journey)
    if len(pickle) > MAX_PICKLE_BYTES:
        reason = f"with what it uses from outside it has {len(pickle)} bytes; the limit is {MAX_PICKLE_BYTES}"
        raise _unsendable(function, reason, "Read large tables with ctx, not from a variable outside the function.")
    source = "\n\n".join(journey.sources)
    if len(source) > MAX_SOURCE:
        reason = f"its source and that of its helpers has {len(source)} characters; the limit is {MAX_SOURCE}"
        raise _unsendable(function, reason, "Put helpers that seldom change into a package of the site's image.")
    return Bundle(base64.b64encode(pickle).decode(), source, _environment(journey))


def _environment(journey: Journey) -> PythonEnvironment:
    names = {name for top in journey.packages for name in journey.owners.get(top, [])}
    found = {name: told for name in sorted(names) if (told := _version(name)) is not None}
    return PythonEnvironment(python=f"{sys.version_info.major}.{sys.version_info.minor}", packages=found)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _pickled(function: FunctionType, journey: Journey) -> bytes:
    try:
        return _dumped(function, journey.modules)
    except FunctionNotSendable:
        raise
    except Exception as error:  # it runs whatever the objects on the way define
        for name, value in journey.variables.items():
            if not _can_go(value, journey.modules):
                reason = f"the variable {name!r} that it uses ({_kind(value)}) cannot be pickled"
                hint = f"Make {name!r} inside the function, or pass what it holds as a parameter."
                raise _unsendable(function, reason, hint) from error
        reason = f"it cannot be pickled: {error}"
        raise _unsendable(function, reason, "Make inside the function what it now takes from outside.") from error


def _can_go(value: object, modules: list[ModuleType]) -> bool:
    try:
        _dumped(value, modules)
    except Exception:  # whatever it is, this is the one that cannot go
        return False
    return True


def _dumped(value: object, modules: list[ModuleType]) -> bytes:
    # Only whoever sends functions needs it: pip install datacanal[notebook].
    try:
        import cloudpickle
    except ImportError:
        name = getattr(value, "__name__", "?")
        hint = "Install it: pip install 'datacanal[notebook]'."
        raise FunctionNotSendable(function=name, reason="cloudpickle is not installed here", hint=hint) from None
    with _by_value(modules):
        content: bytes = cloudpickle.dumps(value)
        return content


@contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    """Files of the author's own go along: the site does not have them. What was registered before stays so."""
    import cloudpickle  # as above

    before = cloudpickle.list_registry_pickle_by_value()
    fresh = [module for module in modules if module.__name__ not in before]
    for module in fresh:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in fresh:
            cloudpickle.unregister_pickle_by_value(module)


def _kind(value: object) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def _unsendable(function: FunctionType, reason: str, hint: str) -> FunctionNotSendable:
    return FunctionNotSendable(function=function.__name__, reason=reason, hint=hint)
