"""What is wrong with a document, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datacanal.protocol.accounts import LINE_PATTERN, TITLE_PATTERN
from datacanal.protocol.money import MONTH_PATTERN, PRICE_PATTERN, TARIFF_PATTERN
from datacanal.protocol.products import PRODUCT_PATTERN, READER_PATTERN, SCHEDULE_PATTERN

_SHAPES = {
    PRODUCT_PATTERN: "publisher.product is needed, both of lower-case letters, digits and _, beginning with a letter",
    PRICE_PATTERN: 'a text such as "0.002" is needed, not negative: at most 12 digits before and 12 after the point',
    TARIFF_PATTERN: "lower-case letters, digits, _ and - are needed, the first one a letter",
    MONTH_PATTERN: "a month such as 2026-11 is needed",
    LINE_PATTERN: "one line of text is needed",
    TITLE_PATTERN: "one line of text is needed, of more than spaces",
    READER_PATTERN: "group:NAME or principal:NAME is needed",
    SCHEDULE_PATTERN: "lower-case letters, digits, _ and - are needed, the first one a letter",
}


def reason_of(finding: Mapping[str, Any]) -> str:
    """One of a `ValidationError`'s errors, told without regular expressions where a name has not its shape."""
    context = finding.get("ctx", {})
    if finding["type"] == "too_short":
        return f"at least {context['min_length']} must be given"
    shape = _SHAPES.get(context.get("pattern", ""))
    return str(finding["msg"]).removeprefix("Value error, ") if shape is None else shape
