"""A function that runs at a site: declared with a decorator, called here as it is, submitted with its parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from pydantic import JsonValue

from datacanal.client.baggage import packed
from datacanal.client.signatures import Parameter, parameters_of
from datacanal.domain.errors import BadArgument, BadField
from datacanal.protocol.public import Timeouts


@dataclass(frozen=True)
class PythonTerms:
    """Where a function runs, what it is given, and what it returns. See `Client.job`."""

    site: str
    columns: Mapping[str, str]
    datasets: tuple[str, ...]
    inputs: Mapping[str, str]
    workers: int
    memory: str
    image: str | None
    timeouts: Timeouts | Mapping[str, float] | None
    purpose: str | None


class PythonJob:
    """A declared function. Called, it is the plain function, so that it can be tried on a context of one's own."""

    def __init__(self, function: FunctionType, terms: PythonTerms) -> None:
        self.function = function
        self.terms = terms
        self.parameters: dict[str, Parameter] = parameters_of(function)
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<PythonJob {self.function.__name__} at {self.terms.site}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Another function may call this one: it takes it along as what it is called as, without what belongs here.
        return functools.partial, (self.function,)

    def params(self, given: Mapping[str, Any]) -> dict[str, JsonValue]:
        """Every parameter with its value as JSON, defaults included. Raises `BadArgument`."""
        for name in given:
            if name not in self.parameters:
                raise self._bad(name, "the function has no such parameter")
        return {name: self._value(name, parameter, given) for name, parameter in self.parameters.items()}

    def request(self) -> dict[str, Any]:
        """The fields of `PythonRequest`. Raises `FunctionNotSendable`."""
        terms, bundle = self.terms, packed(self.function)
        return {
            "site": terms.site,
            "name": self.function.__name__,
            "code": bundle.code,
            "source": bundle.source,
            "environment": bundle.environment,
            "parameters": {name: str(parameter.type) for name, parameter in self.parameters.items()},
            "datasets": list(terms.datasets),
            "inputs": dict(terms.inputs),
            "columns": dict(terms.columns),
            "workers": terms.workers,
            "memory": terms.memory,
            "image": terms.image,
        }

    def _value(self, name: str, parameter: Parameter, given: Mapping[str, Any]) -> JsonValue:
        if name not in given and not parameter.has_default:
            raise self._bad(name, "it has no value")
        try:
            return parameter.type.encoded(given.get(name, parameter.default))
        except ValueError as error:
            raise self._bad(name, str(error)) from None

    def _bad(self, name: str, reason: str) -> BadArgument:
        listed = ", ".join(f"{each}: {parameter.type}" for each, parameter in self.parameters.items()) or "none"
        return BadArgument(function=self.function.__name__, name=name, reason=reason, parameters=listed)


def declared(terms: PythonTerms) -> Callable[[Callable[..., Any]], PythonJob]:
    """The decorator. Raises `BadField` for terms of the wrong kind, and for a function that cannot be declared."""
    for name, kind in (("columns", Mapping), ("inputs", Mapping)):
        if not isinstance(getattr(terms, name), kind):
            raise BadField(field=name, reason='names with their values are needed: {"name": "…"}')
    if not terms.columns:
        raise BadField(field="columns", reason='what the function returns is needed: {"region": "VARCHAR", …}')

    def declare(function: Callable[..., Any]) -> PythonJob:
        if not isinstance(function, FunctionType) or not function.__name__.isidentifier():
            raise BadField(field="function", reason=f"a plain function with a name is needed, not {function!r}")
        return PythonJob(function, terms)

    return declare


def as_declared(function: object) -> PythonJob:
    """The job that was declared. Raises `BadField` for anything else."""
    if isinstance(function, PythonJob):
        return function
    called = getattr(function, "__name__", None) or repr(function)
    reason = f"{called} was not declared; put @client.job(site=…, columns={{…}}) above it"
    raise BadField(field="function", reason=reason)
