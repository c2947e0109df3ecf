"""Which changes of a type leave the rows as they are."""

from __future__ import annotations

import re
from functools import lru_cache

from safeops.judging.postgresql.nodes import type_text, value_of

_WRITTEN = re.compile(r"(?P<base>[^(\[]+)(?:\((?P<modifiers>[\d,]+)\))?(?P<rest>[^(\[]*)(?P<array>(?:\[\])*)")


@lru_cache(maxsize=512)
def normal_type(text: str) -> str:
    """Return a type as the server itself writes it: "varchar(9)" is "character varying(9)"."""
    cast = value_of(f"NULL::{text}")
    return (type_text(cast.typeName) if cast is not None else None) or text.lower()


def _parts(text: str) -> tuple[str, tuple[int, ...], bool]:
    """Return the base of a type, its modifiers, and whether it is an array."""
    match = _WRITTEN.fullmatch(normal_type(text))
    if match is None:
        return text, (), False
    base = " ".join((match["base"] + " " + match["rest"]).split())
    modifiers = tuple(int(one) for one in (match["modifiers"] or "").split(",") if one)
    return base, modifiers, bool(match["array"])


def is_same(old: str, new: str) -> bool:
    return normal_type(old) == normal_type(new)


_VARCHAR, _TEXT = "character varying", "text"
_TIMESTAMP, _TIMESTAMPTZ = "timestamp without time zone", "timestamp with time zone"
_TIMES = (_TIMESTAMP, _TIMESTAMPTZ, "time without time zone", "time with time zone", "interval")


def widens(old: str, new: str, *, utc: bool) -> bool:
    """Return whether each stored value of a type is valid for another type, so no row is rewritten.

    Args:
        old: The existing type.
        new: The new type.
        utc: Whether the time zone of the session is UTC, in which a timestamp means the same with and without a zone.
    """
    (base, modifiers, array), (wanted, wanted_modifiers, wanted_array) = _parts(old), _parts(new)
    if array or wanted_array:
        # The elements of an array are always rewritten.
        return False
    if base == wanted:
        return _takes_more(base, modifiers, wanted_modifiers)
    if (base, wanted) in ((_TIMESTAMP, _TIMESTAMPTZ), (_TIMESTAMPTZ, _TIMESTAMP)):
        return utc and _takes_more(base, modifiers, wanted_modifiers)
    if base == _TEXT and wanted == _VARCHAR:
        return not wanted_modifiers
    return (base, wanted) in _BINARY_SAME and not wanted_modifiers


_BINARY_SAME = {
    (_VARCHAR, _TEXT),
    ("cidr", "inet"),
    ("bit", "bit varying"),
    ("xml", _TEXT),
    ("xml", _VARCHAR),
    ("integer", "oid"),
    ("oid", "integer"),
    *(("oid", name) for name in ("regclass", "regtype", "regproc")),
    *((name, "oid") for name in ("regclass", "regtype", "regproc")),
}


def _takes_more(base: str, old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Return whether the modifiers of a type let through what the old ones did, without changing it."""
    if not new:
        # Without modifiers there is no limit; that of character and bit is then 1.
        return base not in ("character", "bit") or not old
    if not old:
        return base in _TIMES and new[0] >= 6
    if base == "numeric":
        return new[0] - old[0] >= 0 and (new[1:] or (0,)) == (old[1:] or (0,))
    if base in (_VARCHAR, "bit varying", *_TIMES):
        return new[0] >= old[0]
    return new == old
