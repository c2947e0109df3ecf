"""Values in the SQL of SQLite, by the affinity of a column: https://www.sqlite.org/datatype3.html"""

from __future__ import annotations

import re
from collections.abc import Sequence

from safeops.databases.definitions import Column
from safeops.rehearse import values
from safeops.rehearse.shapes import ColumnShape
from safeops.rehearse.values import FILLER, Type, Values

NAMED = {"BOOL": "other", "DATETIME": "moment", "TIMESTAMP": "moment", "DATE": "date", "TIME": "other", "JSON": "other"}
BYTES = 8


class Generator(values.Generator):
    """Values by the functions of the library."""

    def type_of(self, column: Column) -> Type:
        name = column.type.partition("(")[0].strip().upper()
        arguments = tuple(map(int, re.findall(r"\d+", column.type)))
        kind = next((kind for word, kind in NAMED.items() if word in name), None) or _affinity(name)
        return Type(kind, name, _CASTS.get(kind, ""), arguments if kind in ("text", "number") else (), most=2**31 - 1)

    def numbers(self, first: int, last: int) -> str:
        count = f"WITH RECURSIVE counted(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM counted WHERE n < {last})"
        return f"({count} SELECT n FROM counted) AS numbers"

    def halved(self, number: str, by: int) -> str:
        return f"({number} / {by})"

    def joined(self, *texts: str) -> str:
        return f"({' || '.join(texts)})"

    def token(self, number: str) -> str:
        return f"printf('%x', {number})"

    def letter(self, number: str, first: str) -> str:
        return f"char({ord(first)} + {number})"

    def padded(self, text: str, width: int) -> str:
        filler = FILLER * (width // len(FILLER) + 1)
        return f"substr({text} || {self.literal(filler)}, 1, {width})"

    def zeros(self, number: str, width: int) -> str:
        return f"printf('%0{width}d', {number})"

    def cast(self, value: str, type_: Type) -> str:
        if type_.kind == "number" and value != "NULL":
            # A decimal is a floating-point number here.
            return f"round({value}, {type_.arguments[1] if len(type_.arguments) > 1 else 0 if type_.arguments else 2})"
        return f"CAST({value} AS {type_.spelled})" if type_.spelled else value

    def day(self, base: str, number: str) -> str:
        return f"date('{base}', ({number}) || ' days')"

    def moment(self, base: str, number: str, type_: Type) -> str:
        # As SQLAlchemy stores it.
        return f"(datetime('{base}', ({number}) || ' seconds') || '.000000')"

    def formula(self, computed: str) -> str:
        return re.sub(r"\s(stored|persistent|virtual)$", "", computed, flags=re.IGNORECASE)

    def literal_of(self, column: str) -> str:
        return f"quote({column})"

    def shuffled(self, column: str) -> str:
        return "random()"

    def others(self, type_: Type, shape: ColumnShape, literals: Sequence[str]) -> list[Values]:
        if "BOOL" in type_.name:
            return [Values(2, lambda n: f"({n} % 2)")]
        if "JSON" in type_.name:
            text = self.literal(FILLER * ((shape.width or 0) // len(FILLER)))
            return [Values(1 << 40, lambda n: f"('{{\"n\": ' || {n} || ', \"text\": \"' || {text} || '\"}}')")]
        if "TIME" in type_.name:
            return [Values(86_400, lambda n: f"(time('00:00', ({n}) || ' seconds') || '.000000')")]
        width = max(shape.width or 0, BYTES)
        return [Values(1 << 40, lambda n: f"CAST(printf('%0{width}d', {n}) AS BLOB)")]


_CASTS = {"integer": "INTEGER", "number": "NUMERIC", "real": "REAL"}


def _affinity(name: str) -> str:
    if "INT" in name:
        return "integer"
    if any(word in name for word in ("CHAR", "CLOB", "TEXT", "ENUM", "UUID")):
        return "text"
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "other" if "BLOB" in name or not name else "number"
