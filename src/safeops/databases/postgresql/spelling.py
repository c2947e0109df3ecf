"""How PostgreSQL spells what SQLAlchemy constructs ask for."""

from __future__ import annotations

import re

PROBE = "safeops_probe"
"""The empty temporary copy on which the server itself spells a definition, or shows what a change would do."""
_NAMES = {
    "varchar": "character varying",
    "nvarchar": "character varying",
    "char": "character",
    "nchar": "character",
    "int": "integer",
    "int4": "integer",
    "serial": "integer",
    "bigserial": "bigint",
    "smallserial": "smallint",
    "int8": "bigint",
    "int2": "smallint",
    "bool": "boolean",
    "decimal": "numeric",
    "dec": "numeric",
    "float": "double precision",
    "double": "double precision",
    "float8": "double precision",
    "float4": "real",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
}
_LENGTH_ONE = {"character", "bit"}
_WITH_ZONE = re.compile(r"^(timestamp|time)(?: ?\((\d)\))?(?: (with|without) time zone)?$")
_PARTS = re.compile(r"^([a-z_][a-z0-9_. \"]*?)\s*(?:\((.*)\))?((?:\[\d*\])*)$", re.DOTALL)

# Each name in a trigger has its schema, and each operator: a role that may create in a schema of the search_path could
# otherwise have the writers run a function of that name.
IS_INSERT, IS_UPDATE, IS_DELETE = (
    f"TG_OP OPERATOR(pg_catalog.=) '{event}'" for event in ("INSERT", "UPDATE", "DELETE")
)
SAFE_PATH = "SET search_path = pg_catalog, pg_temp"
"""Of a function that names nothing of the author's: nothing but the server's own is found."""


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a driver's error, whatever the driver calls it."""
    original = getattr(error, "orig", None) or error
    return getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)


def type_name(text: str) -> str:
    """Spell a type as ``format_type()`` does; a type that is not the server's own stays as it is."""
    if '"' in text:
        return text
    text = " ".join(text.lower().split())
    array = "[]" if text.endswith("]") else ""
    text = re.sub(r"(\[\d*\])+$", "", text)
    zoned = _WITH_ZONE.match(text)
    if zoned:
        digits = f"({zoned[2]})" if zoned[2] else ""
        return f"{zoned[1]}{digits} {zoned[3] or 'without'} time zone{array}"
    match = _PARTS.match(text)
    if not match:
        return text + array
    return _spelled(match[1].strip(), (match[2] or "").replace(" ", "")) + array


def _spelled(name: str, arguments: str) -> str:
    if name == "float" and arguments:
        return "real" if int(arguments) <= 24 else "double precision"
    name = _NAMES.get(name, name)
    if name in _LENGTH_ONE and not arguments:
        arguments = "1"
    if name == "numeric" and arguments and "," not in arguments:
        arguments += ",0"
    return f"{name}({arguments})" if arguments else name


def split_collation(type_text: str) -> tuple[str, str | None]:
    """Take ``COLLATE "x"`` off a type."""
    match = re.match(r'^(.*?)\s+COLLATE\s+"?([^"]+)"?$', type_text, re.DOTALL)
    return (match[1], match[2]) if match else (type_text, None)


def block(condition: str, statement: str) -> str:
    """Write a block that runs a statement where a condition holds; no name in it can end the block."""
    body = f"BEGIN\n  IF {condition} THEN\n    {statement};\n  END IF;\nEND"
    return f"DO {in_dollars(body)}"


def procedure(declared: str, body: str) -> str:
    """Write a block with variables; no name in it can end the block."""
    whole = f"DECLARE{declared}\nBEGIN{body}\nEND"
    return f"DO {in_dollars(whole)}"


def in_dollars(body: str) -> str:
    """Quote a body with dollars, by a tag that it does not have."""
    tag = "$safeops$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"{tag} {body} {tag}"


def object_name(first: str, second: str, label: str, size: int = 63) -> str:
    """Return the name that the server makes up: it shortens the longer of the two parts until all fits.

    https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/commands/indexcmds.c (makeObjectName)
    """
    one, other, room = len(first.encode()), len(second.encode()), size - len(label.encode()) - 2
    while one + other > room:
        one, other = (one - 1, other) if one > other else (one, other - 1)
    parts = (first.encode()[:one].decode(errors="ignore"), second.encode()[:other].decode(errors="ignore"), label)
    return "_".join(parts)
