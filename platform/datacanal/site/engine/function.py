"""From the code that a job carries to the function, and from its JSON parameters to what the function expects."""

from __future__ import annotations

import base64
import hashlib
import inspect
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast, get_args

from pydantic import TypeAdapter

from datacanal.protocol.plan import PythonCode, PythonEnvironment
from datacanal.site.engine.giving_up import GivesUp

_CONVERTED: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in (date, datetime, Decimal)}


def function_of(code: PythonCode) -> Callable[..., object]:
    """Load it, once everything that can be looked at before has been. Raises `GivesUp`."""
    if differing := list(_differences(code.environment)):
        words = "\n".join(["The function was written in another environment than the image's:", *differing])
        raise GivesUp("environment", words)
    pickled = base64.b64decode(code.pickle)
    if hashlib.sha256(pickled).hexdigest() != code.digest:
        raise GivesUp("cannot_be_loaded", "The code does not have the digest that the job names.")
    try:
        function = pickle.loads(pickled)  # noqa: S301  # this is the place that exists to run it
    except BaseException as error:
        raise GivesUp("cannot_be_loaded", "".join(traceback.format_exception(error))) from error
    if not callable(function):
        raise GivesUp("cannot_be_loaded", f"The code is {type(function).__name__}, which cannot be called.")
    return cast("Callable[..., object]", function)


def _differences(written: PythonEnvironment) -> Iterator[str]:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if written.python != here:
        yield f"- Python {written.python}, here {here}"
    for package, wanted in written.packages.items():
        found = _version(package)
        if found != wanted:
            yield f"- {package} {wanted}, here {found or 'not installed'}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def arguments_of(function: Callable[..., object], params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with dates, times and decimals where the function's annotations ask for them."""
    expected = inspect.signature(function).parameters
    return {name: _converted(value, expected.get(name)) for name, value in params.items()}


def _converted(value: Any, parameter: inspect.Parameter | None) -> Any:
    adapter = None if parameter is None else _CONVERTED.get(_kind(parameter.annotation))
    return value if value is None or adapter is None else adapter.validate_python(value)


def _kind(annotation: Any) -> str:
    """`date` of `date`, of `datetime.date | None`, and of the same as text, as a future import makes it."""
    text = annotation if isinstance(annotation, str) else None
    if text is None:
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)] or [annotation]
        return str(getattr(kinds[0], "__name__", ""))
    return text.removesuffix(" | None").rpartition(".")[2]
