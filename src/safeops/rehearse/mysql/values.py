"""Values in the SQL of MariaDB and MySQL."""

from __future__ import annotations

import re
from collections.abc import Sequence

from safeops.databases import sqltext
from safeops.databases.definitions import Column
from safeops.rehearse import values
from safeops.rehearse.shapes import ColumnShape
from safeops.rehearse.values import FILLER, Spell, Type, Values

INTEGERS = {"tinyint": 2**7 - 1, "smallint": 2**15 - 1, "mediumint": 2**23 - 1, "int": 2**31 - 1, "bigint": 2**62}
KINDS = {
    **dict.fromkeys((*INTEGERS, "integer"), "integer"),
    **dict.fromkeys(("decimal", "numeric"), "number"),
    **dict.fromkeys(("float", "double", "real"), "real"),
    **dict.fromkeys(("char", "varchar", "text", "tinytext", "mediumtext", "longtext"), "text"),
    "date": "date",
    **dict.fromkeys(("datetime", "timestamp"), "moment"),
    **dict.fromkeys(("enum", "set"), "choice"),
}
LENGTHS = {"tinytext": 255, "text": 60_000, "char": 1}
OTHERS: dict[str, tuple[str, int]] = {
    "time": ("SEC_TO_TIME({n})", 86_400),
    "year": ("(1970 + {n})", 130),
    "uuid": ("CONCAT(LPAD(HEX({n}), 8, '0'), '-0000-4000-8000-', LPAD(HEX({n}), 12, '0'))", 1 << 32),
    "inet4": ("INET_NTOA(167772160 + {n})", 1 << 24),
    "inet6": ("CONCAT('2001:db8::', HEX({n} DIV 65536), ':', HEX({n} % 65536))", 1 << 30),
    "point": ("POINT({n}, {n})", 1 << 40),
    "geometry": ("POINT({n}, {n})", 1 << 40),
}
BYTES = 8
CASTS = {"number": "DECIMAL", "date": "DATE", "moment": "DATETIME(6)"}
LEVEL = "SELECT 0 AS d" + "".join(f" UNION ALL SELECT {digit}" for digit in range(1, 10))


class Generator(values.Generator):
    """Values by the functions of the server."""

    def type_of(self, column: Column) -> Type:
        name, _, rest = column.type.partition("(")
        name = name.split()[0].lower()
        labels = [text[1:-1].replace("''", "'") for kind, text in sqltext.tokens(rest) if kind == "string"]
        arguments = tuple(map(int, re.findall(r"\d+", rest.partition(")")[0]))) if not labels else ()
        kind, most = KINDS.get(name, "other"), INTEGERS.get(name, 2**31 - 1)
        if kind in ("integer", "date", "moment"):
            arguments = ()
        if kind == "text" and not arguments and name in LENGTHS:
            arguments = (LENGTHS[name],)
        return Type(kind, name, self._spelled(name, kind, arguments), arguments, tuple(labels), most)

    @staticmethod
    def _spelled(name: str, kind: str, arguments: tuple[int, ...]) -> str:
        if kind == "number":
            return f"DECIMAL({', '.join(map(str, arguments or (10, 0)))})"
        return {"integer": "SIGNED", "real": "DOUBLE", **CASTS}.get(kind, "")

    def numbers(self, first: int, last: int) -> str:
        digits = max(1, len(str(last - first)))
        levels = ", ".join(f"({LEVEL}) d{place}" for place in range(digits))
        number = " + ".join(f"d{place}.d * {10**place}" for place in range(digits))
        return f"(SELECT {first} + {number} AS n FROM {levels} WHERE {number} <= {last - first}) numbers"

    def halved(self, number: str, by: int) -> str:
        return f"({number} DIV {by})"

    def joined(self, *texts: str) -> str:
        return f"CONCAT({', '.join(texts)})"

    def token(self, number: str) -> str:
        return f"LOWER(HEX({number}))"

    def letter(self, number: str, first: str) -> str:
        return f"CHAR({ord(first)} + {number} USING ascii)"

    def padded(self, text: str, width: int) -> str:
        return f"RPAD({text}, {width}, {self.literal(FILLER)})"

    def zeros(self, number: str, width: int) -> str:
        return f"LPAD({number}, {width}, '0')"

    def cast(self, value: str, type_: Type) -> str:
        return f"CAST({value} AS {type_.spelled})" if type_.spelled else value

    def day(self, base: str, number: str) -> str:
        return f"DATE_ADD(CAST('{base}' AS DATE), INTERVAL ({number}) DAY)"

    def moment(self, base: str, number: str, type_: Type) -> str:
        day = (
            base
            if type_.name == "datetime"
            else {"2060-01-01": "2020-01-01", "1950-01-01": "1980-01-01"}.get(base, base)
        )
        return f"DATE_ADD(CAST('{day}' AS DATETIME), INTERVAL ({number}) SECOND)"

    def formula(self, computed: str) -> str:
        return re.sub(r"\s(stored|persistent|virtual)$", "", computed, flags=re.IGNORECASE)

    def literal_of(self, column: str) -> str:
        return f"QUOTE({column})"

    def others(self, type_: Type, shape: ColumnShape, literals: Sequence[str]) -> list[Values]:
        if type_.name in OTHERS:
            template, capacity = OTHERS[type_.name]
            return [Values(capacity, lambda number: template.format(n=number))]
        spell, capacity = self._by_width(type_, shape)
        return [Values(capacity, spell)] if spell is not None else []

    def _by_width(self, type_: Type, shape: ColumnShape) -> tuple[Spell | None, int]:
        width = shape.width or 0
        if type_.name == "json":
            return lambda n: f"JSON_OBJECT('n', {n}, 'text', {self.literal(FILLER * (width // len(FILLER)))})", 1 << 40
        if type_.name == "bit":
            return lambda n: n, 1 << min(type_.arguments[0] if type_.arguments else 1, 40)
        if type_.name in ("binary", "varbinary") or type_.name.endswith("blob"):
            most = type_.arguments[0] if type_.arguments else 255
            count = min(most, max(width, BYTES))
            return lambda n: f"UNHEX(LPAD(HEX({n}), {2 * count}, '0'))", 1 << min(8 * count, 40)
        return None, 0
