"""What is sent: documents made of a caller's values, checked before anything leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from datacanal.client.parameters import json_params
from datacanal.client.python_job import as_declared
from datacanal.domain.errors import BadField, SqlBadText
from datacanal.protocol.base import Document
from datacanal.protocol.public import JobRequest, PythonRequest, Timeouts
from datacanal.protocol.wrong import reason_of

D = TypeVar("D", bound=Document)


def statement_request(
    text: str,
    params: Mapping[str, Any] | None = None,
    timeouts: Timeouts | Mapping[str, float] | None = None,
    purpose: str | None = None,
) -> JobRequest:
    """The job of a statement. Raises `BadField`, `SqlBadText`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise SqlBadText(what="a lone surrogate") from None
    given = timeouts.model_dump() if isinstance(timeouts, Timeouts) else dict(timeouts or {})
    return checked(JobRequest, sql=text, params=json_params(params), timeouts=given, purpose=purpose)


def python_request(function: object, params: Mapping[str, Any]) -> JobRequest:
    """The job of a declared function; parameters are checked too. Raises `BadField`, `BadParameter`."""
    job = as_declared(function)
    values = job.params(params)
    given = job.terms.timeouts
    timeouts = given.model_dump() if isinstance(given, Timeouts) else dict(given or {})
    python = checked(PythonRequest, **job.request())
    return checked(
        JobRequest, kind="python", python=python, params=values, timeouts=timeouts, purpose=job.terms.purpose
    )


def checked(document: type[D], **fields: object) -> D:
    """The document. Raises `BadField` with the first thing that is wrong."""
    try:
        return document.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadField(field=".".join(str(part) for part in first["loc"]), reason=reason_of(first)) from None
