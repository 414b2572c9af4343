"""A function's parameters as its annotations type them: the first is the context, every other has a type and a name."""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass
from types import FunctionType, SimpleNamespace

from datacanal.domain.errors import BadField
from datacanal.domain.parameter_types import ParameterType, type_of


@dataclass(frozen=True)
class Parameter:
    """`default` says nothing where there is none."""

    type: ParameterType
    has_default: bool
    default: object


def parameters_of(function: FunctionType) -> dict[str, Parameter]:
    """Every parameter but the context, by name. Raises `BadField` naming the one that cannot be one."""
    found = list(inspect.signature(function).parameters.values())
    if not found or found[0].kind not in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
        raise BadField(field="function", reason=f"{function.__name__} needs a first parameter: def f(ctx, …)")
    return {each.name: _parameter(function, each) for each in found[1:]}


def _parameter(function: FunctionType, given: inspect.Parameter) -> Parameter:
    place = f"{function.__name__}({given})"
    if given.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        raise BadField(field=place, reason="a parameter has a name of its own; *, ** and / cannot be sent")
    if given.annotation is inspect.Parameter.empty:
        raise BadField(field=place, reason=f"it needs a type, for instance {given.name}: int")
    try:
        kind = type_of(_evaluated(function, given))
        if given.default is not inspect.Parameter.empty:
            kind.encoded(given.default)
    except (ValueError, NameError) as error:
        raise BadField(field=place, reason=str(error)) from None
    return Parameter(kind, given.default is not inspect.Parameter.empty, given.default)


def _evaluated(function: FunctionType, given: inspect.Parameter) -> object:
    """The annotation's value. Only this one is asked for: the context's may name what only a type checker knows."""
    alone = SimpleNamespace(__annotations__={given.name: given.annotation})
    return typing.get_type_hints(alone, globalns=function.__globals__)[given.name]
