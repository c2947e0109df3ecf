"""Numbers and texts of a rehearsal for people."""

from __future__ import annotations

import re

# Control characters, those that turn the direction of the text around them, and what neither UTF-8 nor XML can contain.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean(text: object) -> str:
    """Return a text that any page can show, with a replacement character for each other one."""
    return _UNSHOWABLE.sub("\ufffd", str(text).replace("\r\n", "\n").expandtabs(4))


def shortened(text: str, length: int) -> str:
    """Return a text with its middle left out if it is longer."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[-half:]}"


def took(seconds: float) -> str:
    """Return a duration in words, which stay in one line."""
    number, unit = _duration(seconds)
    return f"{number}\N{NO-BREAK SPACE}{unit}"


def between(low: float, high: float) -> str:
    """Return a range of durations in words."""
    first, last = _duration(low), _duration(high)
    if first == last:
        return took(low)
    return f"{first[0] if first[1] == last[1] else took(low)} to {took(high)}"


def _duration(seconds: float) -> tuple[str, str]:
    if seconds < 0.001:
        return ("under 1" if seconds else "0"), "ms"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f}", "ms"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0"), "s"
    if seconds < 300:
        return f"{seconds:.0f}", "s"
    return (f"{seconds / 60:.0f}", "min") if seconds < 7200 else (f"{seconds / 3600:.1f}", "h")
