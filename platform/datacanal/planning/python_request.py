"""What can be seen of a function's request alone, before any dataset is looked at."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from datacanal.configured_values import parse_size
from datacanal.domain.errors import BadArgument, BadFunction
from datacanal.domain.parameter_types import read_type
from datacanal.protocol.plan import PythonCode, PythonGiven, PythonWork
from datacanal.protocol.public import MAX_PICKLE_BYTES, PythonRequest

_INPUT = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,31}$", re.ASCII)
_PYTHON = re.compile(r"^3\.\d{1,2}$", re.ASCII)
_LEAST_MEMORY_BYTES = 128 * 2**20
_MOST_MEMORY_BYTES = 2**40


def check_request(asked: PythonRequest, params: Mapping[str, JsonValue]) -> None:
    """Raise `BadFunction` or `BadArgument`, naming the first thing that is wrong."""
    if not asked.name.isidentifier():
        raise BadFunction(field="python.name", reason="the name of a Python function is needed")
    if not _PYTHON.match(asked.environment.python):
        raise BadFunction(field="python.environment.python", reason='a minor version such as "3.11" is needed')
    for name in asked.inputs:
        if not _INPUT.match(name):
            reason = "a name begins with a letter and holds letters, digits and _ of ASCII (at most 32)"
            raise BadFunction(field=f"python.inputs.{name}", reason=reason)
    _check_different("python.inputs", asked.inputs)
    _check_different("python.datasets", asked.datasets)
    _check_different("python.columns", asked.columns)
    _check_params(asked, params)


def work_of(asked: PythonRequest, given: list[PythonGiven]) -> PythonWork:
    """What the step will run. Raises `BadFunction` for a pickle or a size that is none."""
    content = _decoded(asked.code)
    code = PythonCode(
        name=asked.name,
        pickle=asked.code,
        digest=hashlib.sha256(content).hexdigest(),
        source=asked.source,
        environment=asked.environment,
    )
    memory_bytes = _memory(asked.memory)
    return PythonWork(code=code, given=given, workers=asked.workers, memory_bytes=memory_bytes, image=asked.image)


def _decoded(code: str) -> bytes:
    try:
        content = base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        raise BadFunction(field="python.code", reason="it is not base64") from None
    if not 0 < len(content) <= MAX_PICKLE_BYTES:
        reason = f"the pickle has {len(content)} bytes; from 1 to {MAX_PICKLE_BYTES} are possible"
        raise BadFunction(field="python.code", reason=reason)
    return content


def _memory(text: str) -> int:
    try:
        found = parse_size(text)
    except ValueError as error:
        raise BadFunction(field="python.memory", reason=str(error)) from None
    if not _LEAST_MEMORY_BYTES <= found <= _MOST_MEMORY_BYTES:
        raise BadFunction(field="python.memory", reason=f"{text} is not between 128MiB and 1TiB")
    return found


def _check_different(field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise BadFunction(field=field, reason=f"{name!r} is given twice; letters' case does not tell names apart")
        seen.add(name.casefold())


def _check_params(asked: PythonRequest, params: Mapping[str, JsonValue]) -> None:
    types = {}
    for name, words in asked.parameters.items():
        try:
            types[name] = read_type(words)
        except ValueError as error:
            raise BadFunction(field=f"python.parameters.{name}", reason=str(error)) from None
    listed = ", ".join(f"{name}: {words}" for name, words in asked.parameters.items()) or "none"
    for name in sorted(types.keys() ^ params.keys()):
        reason = "it has no value" if name in types else "the function has no such parameter"
        raise BadArgument(function=asked.name, name=name, reason=reason, parameters=listed)
    for name, kind in types.items():
        try:
            kind.check(params[name])
        except ValueError as error:
            raise BadArgument(function=asked.name, name=name, reason=str(error), parameters=listed) from None
