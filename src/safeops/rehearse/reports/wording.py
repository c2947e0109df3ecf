"""Numbers and texts of a rehearsal for people."""

from __future__ import annotations

import re

from safeops.rehearse.projection import duration_text

NO_BREAK = "\N{NO-BREAK SPACE}"
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
    if 0 < seconds < 0.001:
        return f"under 1{NO_BREAK}ms"
    return duration_text(seconds).replace(" ", NO_BREAK)


def between(low: float, high: float) -> str:
    """Return a range of durations in words."""
    first, last = took(low), took(high)
    if first == last:
        return first
    number, _, unit = first.rpartition(NO_BREAK)
    return f"{number if last.endswith(NO_BREAK + unit) else first} to {last}"
