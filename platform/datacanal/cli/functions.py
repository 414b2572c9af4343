"""`FILE.py:FUNCTION` in the place of a statement: a declared function of the user's own file."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from datacanal.client import Client, Job, PythonJob
from datacanal.domain.errors import BadField, DatacanalError
from datacanal.domain.parameter_types import ParameterType

_NAMED = re.compile(r"^(?P<file>[^\n]+\.py):(?P<function>[^\W\d]\w*)$")
_AS_TEXT = frozenset({"str", "date", "datetime", "Decimal"})


def names_function(text: str) -> bool:
    """Whether the argument names a function rather than being a statement."""
    return _NAMED.match(text) is not None


def load_function(text: str) -> PythonJob:
    """The function; its file is run, as Python runs it. Raises `BadField` where it is not there or not declared."""
    found = _NAMED.match(text)
    assert found is not None  # noqa: S101  # whoever calls has asked `names_function`
    function = _names(Path(found["file"])).get(found["function"])
    if not isinstance(function, PythonJob):
        reason = f"it has no function {found['function']!r} declared with @client.job(site=…, columns={{…}})"
        raise BadField(field=found["file"], reason=reason)
    return function


def asked_function(
    function: PythonJob, texts: Mapping[str, str], timeouts: Mapping[str, float], purpose: str | None
) -> tuple[PythonJob, dict[str, object]]:
    """It and its values; what the command line says of timeouts and purpose comes before what the file says."""
    terms = function.terms
    asked = dataclasses.replace(terms, timeouts=timeouts or terms.timeouts, purpose=purpose or terms.purpose)
    return PythonJob(function.function, asked), {name: _value(function, name, text) for name, text in texts.items()}


def submit_function(
    client: Client, function: PythonJob, texts: Mapping[str, str], timeouts: Mapping[str, float], purpose: str | None
) -> Job:
    """Submit it as `asked_function` says."""
    asked, values = asked_function(function, texts, timeouts, purpose)
    return client.submit(asked, **values)


def _value(function: PythonJob, name: str, text: str) -> object:
    """The text as a value of the parameter's type; what is none is left to be refused with all that is said there."""
    parameter = function.parameters.get(name)
    if parameter is None:
        return text
    try:
        return parameter.type.decoded(_json(parameter.type, text))
    except ValueError:
        return text


def _json(kind: ParameterType, text: str) -> object:
    if kind.is_optional and text == "null":
        return None
    return text if kind.scalar in _AS_TEXT and not kind.is_list else json.loads(text)


def _names(file: Path) -> Mapping[str, object]:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise BadField(field=str(file), reason="there is no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # where pickling looks for what the file defines
    sys.path.insert(0, str(file.resolve().parent))  # where Python looks for the files beside it
    try:
        spec.loader.exec_module(module)
    except DatacanalError:
        raise
    except Exception as error:  # the file is the user's, and may raise anything
        raise BadField(field=str(file), reason=f"{type(error).__name__}: {error}") from error
    return vars(module)
