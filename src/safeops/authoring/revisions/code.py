"""Writes calls as code: what a person typed stands in quotes."""

from __future__ import annotations

import re
from typing import Any

from safeops.authoring.revisions.layout import literal
from safeops.naming import Code


def written_call(function: str, *arguments: Any, **keywords: Any) -> Code:
    """Write a call; keywords that are None are left out, and text stands in quotes unless it is code."""
    written = [_value(one) for one in arguments]
    written += [f"{name}={_value(value)}" for name, value in keywords.items() if value is not None]
    return Code(f"{function}({', '.join(written)})")


def _value(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return literal(value) if isinstance(value, str) else repr(value)


def sql(text: str | None) -> Code | None:
    """Write SQL such that none of its colons is taken for a parameter."""
    return None if text is None else written_call("sa.text", re.sub(r"(?<![:\w\\]):(?=\w+(?!:))", r"\\:", text))
