"""Values in the SQL of PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from safeops.databases.definitions import Column
from safeops.rehearse import values
from safeops.rehearse.shapes import ColumnShape
from safeops.rehearse.values import FILLER, Spell, Type, Values

TYPE = """
SELECT t.typtype, t.typcategory, t.typlen, t.typname, format_type(t.typbasetype, t.typtypmod), t.typnotnull,
  CASE WHEN t.typcategory = 'A' THEN format_type(t.typelem, -1) END,
  ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
  ARRAY(SELECT pg_get_expr(k.conbin, 0) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'),
  (SELECT format_type(r.rngsubtype, -1) FROM pg_range r WHERE r.rngtypid = t.oid),
  ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_type t WHERE t.oid = CAST({name} AS regtype)
"""
INTEGERS = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**62, "oid": 2**31 - 1}
KINDS = {
    **dict.fromkeys(INTEGERS, "integer"),
    "numeric": "number",
    "money": "number",
    "float4": "real",
    "float8": "real",
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext"), "text"),
    "date": "date",
    "timestamp": "moment",
    "timestamptz": "moment",
}
# {n} is the number; the second entry is how many there are.
OTHERS: dict[str, tuple[str, int]] = {
    "bool": ("({n} % 2 = 1)", 2),
    "uuid": ("md5(CAST({n} AS text))::uuid", 1 << 40),
    "time": ("(TIME '00:00' + {n} * INTERVAL '1 second')", 86_400),
    "timetz": ("CAST(TIME '00:00' + {n} * INTERVAL '1 second' AS timetz)", 86_400),
    "interval": ("({n} * INTERVAL '1 second')", 1 << 30),
    "inet": ("('10.0.0.0'::inet + {n})", 1 << 24),
    "cidr": ("CAST('10.0.0.0'::inet + {n} AS cidr)", 1 << 24),
    "macaddr": ("CAST(lpad(to_hex({n}), 12, '0') AS macaddr)", 1 << 40),
    "macaddr8": ("CAST(lpad(to_hex({n}), 16, '0') AS macaddr8)", 1 << 40),
    "xml": ("CAST('<n>' || {n} || '</n>' AS xml)", 1 << 40),
    "tsvector": ("to_tsvector('simple', 'w' || {n})", 1 << 40),
    "tsquery": ("to_tsquery('simple', 'w' || {n})", 1 << 40),
    "pg_lsn": ("CAST('0/' || to_hex({n}) AS pg_lsn)", 1 << 31),
    "char": ('CAST(chr(CAST(33 + {n} AS integer)) AS "char")', 90),
    "point": ("point({n}, {n})", 1 << 40),
    "circle": ("circle(point({n}, {n}), 1)", 1 << 40),
    "box": ("box(point({n}, {n}), point({n} + 1, {n} + 1))", 1 << 40),
    "lseg": ("lseg(point({n}, {n}), point({n} + 1, {n}))", 1 << 40),
    "path": ("CAST(format('((%s,0),(1,1))', {n}) AS path)", 1 << 40),
    "polygon": ("polygon(box(point({n}, {n}), point({n} + 1, {n} + 1)))", 1 << 40),
    "line": ("line(point(0, {n}), point(1, {n}))", 1 << 40),
    "hstore": ("hstore('n', CAST({n} AS text))", 1 << 40),
    "ltree": ("CAST('n' || {n} AS ltree)", 1 << 40),
}
BYTES = 8


class Generator(values.Generator):
    """Values by the functions of the server."""

    inserting = " OVERRIDING SYSTEM VALUE"

    def type_of(self, column: Column) -> Type:
        return self._type(column.type)

    def _type(self, spelled: str) -> Type:
        kind, category, _, name, base, required, element, labels, checks, bound, parts = self.read(
            TYPE.format(name=self.literal(spelled))
        )[0]
        if kind == "d":
            return self._of_domain(self._type(base), spelled, required, checks)
        inner = element if category == "A" and name.startswith("_") else bound if kind == "r" else None
        made = Type(
            "choice" if kind == "e" else KINDS.get(name, "other"),
            name,
            spelled,
            tuple(int(one) for one in re.findall(r"-?\d+", "".join(re.findall(r"\(([^()]*)\)", spelled)))),
            labels=tuple(labels),
            most=INTEGERS.get(name, 0),
            element=self._type(inner) if inner else None,
            parts=tuple(map(self._type, parts)) if kind == "c" else (),
        )
        return made if made.arguments or name != "bpchar" else self._one_character(made)

    @staticmethod
    def _one_character(type_: Type) -> Type:
        return Type("text", type_.name, type_.spelled, (1,) if type_.spelled == "character" else ())

    @staticmethod
    def _of_domain(base: Type, spelled: str, required: bool, checks: Sequence[str]) -> Type:
        own = (*base.checks, *checks)
        rules = {"spelled": spelled, "checks": own, "required": required or base.required}
        return Type(**{**base.__dict__, **rules})

    def numbers(self, first: int, last: int) -> str:
        return f"generate_series({first}::bigint, {last}::bigint) AS numbers(n)"

    def halved(self, number: str, by: int) -> str:
        return f"({number} / {by})"

    def joined(self, *texts: str) -> str:
        return " || ".join(texts)

    def token(self, number: str) -> str:
        return f"to_hex({number})"

    def letter(self, number: str, first: str) -> str:
        return f"chr(CAST({ord(first)} + {number} AS integer))"

    def whole(self, number: str) -> str:
        return f"CAST({number} AS integer)"

    def padded(self, text: str, width: int) -> str:
        return f"rpad({text}, {width}, {self.literal(FILLER)})"

    def zeros(self, number: str, width: int) -> str:
        return f"lpad(CAST({number} AS text), {width}, '0')"

    def cast(self, value: str, type_: Type) -> str:
        return f"CAST({value} AS {type_.spelled})"

    def day(self, base: str, number: str) -> str:
        return f"(DATE '{base}' + CAST({number} AS integer))"

    def moment(self, base: str, number: str, type_: Type) -> str:
        zone = "+00" if type_.name == "timestamptz" else ""
        return f"({type_.name} '{base} 00:00:00{zone}' + {number} * INTERVAL '1 second')"

    def chosen(self, values: Sequence[str], number: str) -> str:
        if len(values) < 4 or any("[" in value for value in values):
            return super().chosen(values, number)
        return f"(ARRAY[{', '.join(values)}])[1 + {number}]"

    def literal_of(self, column: str) -> str:
        return f"quote_nullable(CAST({column} AS text))"

    def others(self, type_: Type, shape: ColumnShape, literals: Sequence[str]) -> list[Values]:
        if type_.name in OTHERS:
            template, capacity = OTHERS[type_.name]
            return [Values(capacity, lambda number: template.format(n=number))]
        if type_.parts or type_.element is not None:
            return self._made_of_others(type_, shape)
        spell, capacity = self._by_width(type_, shape)
        found = [Values(capacity, spell)] if spell is not None else []
        return found + ([self._with_keys(type_, literals)] if literals and "json" in type_.name else [])

    def _with_keys(self, type_: Type, keys: Sequence[str]) -> Values:
        """A document that has the keys which a check mentions."""
        parts = ", ".join(f"{self.literal(key)}, {{n}}" for key in keys)
        return Values(
            1 << 40, lambda number: f"CAST(json_build_object({parts.replace('{n}', number)}) AS {type_.name})"
        )

    def _by_width(self, type_: Type, shape: ColumnShape) -> tuple[Spell | None, int]:
        width = max(shape.width or 0, 0)
        if type_.name in ("json", "jsonb"):
            text = self.literal(FILLER * (width // len(FILLER)))
            return (
                lambda n: f"CAST('{{\"n\": ' || {n} || ', \"text\": \"' || {text} || '\"}}' AS {type_.name})",
                1 << 40,
            )
        if type_.name == "bytea":
            return lambda n: f"decode(lpad(to_hex({n}), {2 * max(width, BYTES)}, '0'), 'hex')", 1 << 40
        if type_.name in ("bit", "varbit"):
            bits = type_.arguments[0] if type_.arguments else 1 if type_.name == "bit" else 32
            return lambda n: f"CAST(CAST({n} AS bigint) AS bit({bits}))", 1 << min(bits, 40)
        return None, 0

    def _made_of_others(self, type_: Type, shape: ColumnShape) -> list[Values]:
        inner = [
            next(iter(self.variants(part, ColumnShape(), 1 << 31)), None)
            for part in (type_.element, *type_.parts)
            if part
        ]
        if None in inner:
            return []
        known: list[Any] = inner
        return [Values(min(one.capacity for one in known) - 1, partial(self._composed, type_, known))]

    def _composed(self, type_: Type, inner: list[Values], number: str) -> str:
        if type_.parts:
            return f"CAST(ROW({', '.join(one.spell(number) for one in inner)}) AS {type_.spelled})"
        pair = f"{inner[0].spell(number)}, {inner[0].spell(f'({number} + 1)')}"
        if type_.name.startswith("_"):
            return f"CAST(ARRAY[{pair}] AS {type_.spelled})"
        return f"{type_.spelled}({pair})"
