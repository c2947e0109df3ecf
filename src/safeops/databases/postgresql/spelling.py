"""How PostgreSQL spells what SQLAlchemy constructs ask for."""

from __future__ import annotations

import re

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
