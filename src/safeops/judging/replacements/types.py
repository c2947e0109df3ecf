"""Reads the types of columns from the text of SQL."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from safeops.databases import Database

_TYPE = re.compile(
    r"(?P<schema>(?:\w+\.)?)(?P<name>[a-z_][\w ]*?)\s*(?:\((?P<arguments>[\d\s,]+)\))?(?P<zone> with(?:out)? time zone)?"
    r"(?P<array>(?:\[\d*\])*)"
)
_PLAIN: dict[str, type[sa.types.TypeEngine[Any]]] = {
    **dict.fromkeys(("int", "integer", "int4"), sa.Integer),
    **dict.fromkeys(("bigint", "int8"), sa.BigInteger),
    **dict.fromkeys(("smallint", "int2"), sa.SmallInteger),
    **dict.fromkeys(("bool", "boolean"), sa.Boolean),
    **dict.fromkeys(("real", "float4"), sa.REAL),
    **dict.fromkeys(("double precision", "float8", "double"), sa.Double),
    "text": sa.Text,
    "date": sa.Date,
    "json": sa.JSON,
    "uuid": sa.Uuid,
    "interval": sa.Interval,
    **dict.fromkeys(("bytea", "blob"), sa.LargeBinary),
}
_SIZED: dict[str, type[sa.types.TypeEngine[Any]]] = {
    **dict.fromkeys(("varchar", "character varying"), sa.String),
    **dict.fromkeys(("char", "character", "bpchar"), sa.CHAR),
    **dict.fromkeys(("numeric", "decimal"), sa.Numeric),
}
_TIMES = {"timestamp": sa.DateTime, "timestamptz": sa.DateTime, "datetime": sa.DateTime, "time": sa.Time}


def type_of(text: str | None, database: Database) -> Any:
    """Return the type that a text of SQL means; None for one of the database's own, or an unknown one."""
    found = _TYPE.fullmatch((text or "").strip().lower())
    if found is None or found["schema"] not in ("", "pg_catalog."):
        return None
    arguments = [int(one) for one in (found["arguments"] or "").split(",") if one.strip()]
    element = _element(found["name"], arguments, bool(found["zone"]) and "without" not in found["zone"], database)
    dimensions = found["array"].count("[")
    return sa.ARRAY(element, dimensions=dimensions if dimensions > 1 else None) if element and dimensions else element


def _element(name: str, arguments: list[int], zoned: bool, database: Database) -> Any:
    if name in _SIZED:
        return _SIZED[name](*arguments)
    if name in _TIMES and not arguments:
        return _TIMES[name](timezone=zoned or name.endswith("tz"))
    if name in _PLAIN and not arguments:
        return _PLAIN[name]()
    # The names of a dialect's own types, as its reflection finds them.
    own = getattr(database.dialect, "ischema_names", {}).get(f"{name} with time zone" if zoned else name)
    return _made(own, arguments, zoned) if own is not None else None


def _made(own: Any, arguments: list[int], zoned: bool) -> Any:
    keywords = {"timezone": True} if zoned else {}
    if arguments and own.__name__ in ("TIMESTAMP", "TIME", "INTERVAL"):
        return own(precision=arguments[0], **keywords)
    try:
        return own(*arguments, **keywords)
    except TypeError:
        return None
