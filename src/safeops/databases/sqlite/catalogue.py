"""Tables of a SQLite file: CREATE TABLE as text, the place of each column and constraint in it, and what they define.

SQLite keeps the author's own text as the definition, and its PRAGMAs return only a part of it. The grammar:
https://www.sqlite.org/lang_createtable.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from safeops.databases.definitions import Column, Constraint, Index, NameMapping
from safeops.databases.sqlite import spelling
from safeops.databases.sqlite.spelling import Token, folded, items, items_of, tokens
from safeops.naming import Name, fitting

T = TypeVar("T")

_SUFFIXES = {"foreign key": "fkey", "check": "check", "unique": "key", "primary key": "pkey"}
_OF_BOTH = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK"}
_OF_TABLE = _OF_BOTH | {"FOREIGN"}
_OF_COLUMN = _OF_BOTH | {"REFERENCES", "NOT", "NULL", "DEFAULT", "COLLATE", "AS", "DEFERRABLE", "GENERATED"}


@dataclass(frozen=True)
class Clause:
    """One constraint of a table or of a column, by its place in the text, ``CONSTRAINT name`` included."""

    kind: str
    start: int
    end: int
    name: str | None = None
    column: str | None = None
    columns: tuple[str, ...] = ()
    expression: str | None = None
    referent: str | None = None
    remote: tuple[str, ...] = ()
    onupdate: str | None = None
    ondelete: str | None = None
    match: str | None = None
    deferrable: bool = False
    initially: str | None = None
    conflict: str | None = None
    stored: bool = False
    autoincrement: bool = False


@dataclass(frozen=True)
class ColumnText:
    """One column by its place in the text; its type extends from ``type_start`` to ``type_end``."""

    name: str
    start: int
    type_start: int
    type_end: int
    end: int
    clauses: tuple[Clause, ...]

    def clause(self, kind: str) -> Clause | None:
        return next((clause for clause in self.clauses if clause.kind == kind), None)


@dataclass(frozen=True)
class TableText:
    """A CREATE TABLE statement of ``sqlite_master``."""

    sql: str
    name: Token
    columns: tuple[ColumnText, ...]
    constraints: tuple[Clause, ...]
    options: str

    @property
    def clauses(self) -> Iterator[Clause]:
        for column in self.columns:
            yield from column.clauses
        yield from self.constraints

    def column(self, name: str) -> ColumnText:
        return next(column for column in self.columns if folded(column.name) == folded(name))


@lru_cache(maxsize=64)
def parse(sql: str) -> TableText:
    """Read a CREATE TABLE statement, as SQLite keeps it: with nothing between TABLE and the name."""
    whole = tokens(sql)
    start = next(place for place, token in enumerate(whole) if token.text == "(")
    columns: list[ColumnText] = []
    constraints: list[Clause] = []
    found, end = items(whole, start)
    for item in found:
        reader = _Reader(sql, item)
        if columns and item[0].word in _OF_TABLE:
            constraints += reader.constraints()
        else:
            columns.append(reader.column())
    return TableText(sql, whole[start - 1], tuple(columns), tuple(constraints), sql[end:])


def constraint(spec: str) -> Clause:
    """Read one constraint as CREATE TABLE spells it."""
    return _Reader(spec, tokens(spec)).clause(None)


class _Reader:
    """Reads the tokens of one column or constraint from left to right."""

    def __init__(self, sql: str, found: Sequence[Token]) -> None:
        self.sql = sql
        self.tokens = found
        self.at = 0

    def word(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].word if place < len(self.tokens) else ""

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        if all(self.word(ahead) == word for ahead, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    @property
    def end(self) -> int:
        return self.tokens[self.at - 1].end

    @property
    def over(self) -> bool:
        return self.at >= len(self.tokens)

    def column(self) -> ColumnText:
        name = self.take()
        type_end = name.end
        type_start = name.end if self._ends_type() else self.tokens[self.at].start
        while not self._ends_type():
            self.group() if self.word() == "(" else self.take()
            type_end = self.end
        clauses = []
        while not self.over:
            clauses.append(self.clause(name.name))
        return ColumnText(name.name, name.start, type_start, type_end, self.end, tuple(clauses))

    def _ends_type(self) -> bool:
        if self.word() == "GENERATED":
            return self.word(1) == "ALWAYS"
        return self.over or self.word() in _OF_COLUMN

    def constraints(self) -> Iterator[Clause]:
        # SQLite does not insist on the commas between the constraints of a table.
        while not self.over:
            yield self.clause(None)

    def clause(self, column: str | None) -> Clause:
        start, name = self.tokens[self.at].start, None
        while self.accept("CONSTRAINT"):
            name = self.take().name
        parts: dict[str, Any] = self._parts(column) if not self.over else {"kind": "name"}
        if column is not None and parts["kind"] in ("primary key", "unique", "foreign key"):
            parts["columns"] = (column,)
        return Clause(start=start, end=self.end, name=name, column=column, **parts)

    def _parts(self, column: str | None) -> dict[str, Any]:
        if self.accept("PRIMARY", "KEY"):
            return self._key("primary key", column)
        if self.accept("UNIQUE"):
            return self._key("unique", column)
        if self.accept("CHECK"):
            return {"kind": "check", "expression": self.group(), "conflict": self._conflict()}
        if self.accept("FOREIGN", "KEY"):
            columns = self.names()
            return {"columns": columns, **self._references()}
        if self.word() == "REFERENCES":
            return self._references()
        return self._of_column()

    def _key(self, kind: str, column: str | None) -> dict[str, Any]:
        parts: dict[str, Any] = {"kind": kind}
        if column is None:
            parts["autoincrement"] = any(token.word == "AUTOINCREMENT" for token in self.tokens[self.at :])
            parts["columns"] = self.names()
        # A descending INTEGER PRIMARY KEY is not a row id.
        parts["expression"] = "DESC" if self.accept("DESC") else None
        self.accept("ASC")
        parts["conflict"] = self._conflict()
        if self.accept("AUTOINCREMENT"):
            parts["autoincrement"] = True
        return parts

    def _of_column(self) -> dict[str, Any]:
        if self.accept("NOT", "NULL"):
            return {"kind": "not null", "conflict": self._conflict()}
        if self.accept("NULL"):
            return {"kind": "null", "conflict": self._conflict()}
        if self.accept("DEFAULT"):
            return {"kind": "default", "expression": self._value()}
        if self.accept("COLLATE"):
            return {"kind": "collate", "expression": self.take().name}
        if self.accept("GENERATED", "ALWAYS", "AS") or self.accept("AS"):
            expression, stored = self.group(), self.accept("STORED")
            self.accept("VIRTUAL")
            return {"kind": "generated", "expression": expression, "stored": stored}
        if self.word() in ("NOT", "DEFERRABLE"):
            return {"kind": "deferrable", **self._timing()}
        raise ValueError(f"safeops cannot read {self.sql[self.tokens[self.at].start :]!r}: this is a defect of safeops")

    def _references(self) -> dict[str, Any]:
        self.accept("REFERENCES")
        parts: dict[str, Any] = {"kind": "foreign key", "referent": self.take().name}
        if self.word() == "(":
            parts["remote"] = self.names()
        while self.word() in ("ON", "MATCH"):
            if self.accept("MATCH"):
                match = self.take().word
                parts["match"] = None if match == "SIMPLE" else match
            else:
                parts |= self._action()
        return {**parts, **self._timing()}

    def _action(self) -> dict[str, Any]:
        self.take()
        event = f"on{self.take().word.lower()}"
        words = [self.take().word]
        if words[0] in ("SET", "NO"):
            words.append(self.take().word)
        action = " ".join(words)
        return {event: None if action == "NO ACTION" else action}

    def _timing(self) -> dict[str, Any]:
        if self.word() == "NOT" and self.word(1) != "DEFERRABLE":
            return {}
        negative = self.accept("NOT")
        if not self.accept("DEFERRABLE"):
            return {}
        initially = self.take().word if self.accept("INITIALLY") else None
        return {
            "deferrable": not negative,
            "initially": initially if initially == "DEFERRED" and not negative else None,
        }

    def _conflict(self) -> str | None:
        return self.take().word if self.accept("ON", "CONFLICT") else None

    def _value(self) -> str:
        start = self.tokens[self.at].start
        if self.word() == "(":
            return f"({self.group()})"
        if self.word() in ("+", "-"):
            self.take()
        self.take()
        return self.sql[start : self.end]

    def group(self) -> str:
        """Read a group in parentheses, and return its content."""
        _, end = items(self.tokens, self.at)
        start = self.tokens[self.at].end
        while not self.over and self.tokens[self.at].end <= end:
            self.at += 1
        return self.sql[start : end - 1].strip()

    def names(self) -> tuple[str, ...]:
        """Read a list of names; what follows a name, as its collation or direction, is left out."""
        found, _ = items(self.tokens, self.at)
        self.group()
        return tuple(item[0].name for item in found)


def by_name(items: Iterable[tuple[str, T]]) -> NameMapping[T]:
    return NameMapping(items, folded)


def columns_of(text: TableText, infos: Iterable[Any]) -> NameMapping[Column]:
    """Read the columns; ``infos`` are the rows of ``PRAGMA table_xinfo`` without those that are hidden."""
    rows = list(infos)
    row_id = row_id_of(text, rows)
    return by_name((name, _column(text, name, type_, bool(notnull), row_id)) for _, name, type_, notnull, *_ in rows)


def row_id_of(text: TableText, infos: Iterable[Any]) -> str | None:
    """Return the column that is another name of the row id.

    https://www.sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key
    """
    keys = [(name, type_) for _, name, type_, _, _, place, *_ in infos if place]
    inline = [
        clause
        for clause in text.clauses
        if clause.kind == "primary key" and clause.column and clause.expression == "DESC"
    ]
    if len(keys) != 1 or keys[0][1].upper() != "INTEGER" or inline or "WITHOUT" in text.options.upper():
        return None
    return str(keys[0][0])


def _column(text: TableText, name: str, type_: str, notnull: bool, row_id: str | None) -> Column:
    column = text.column(name)
    default, generated, collated = (column.clause(kind) for kind in ("default", "generated", "collate"))
    return Column(
        name=name,
        type=_type(type_, text, name),
        nullable=not (notnull or name == row_id),
        default=spelling.default_value(default.expression if default else None),
        computed=spelling.computed(generated.expression or "", generated.stored) if generated else None,
        collation=spelling.collation(collated.expression if collated else None),
    )


def _type(type_: str, text: TableText, name: str) -> str:
    # INT PRIMARY KEY is an ordinary column, INTEGER PRIMARY KEY is the row id.
    is_key = any(clause.kind == "primary key" and clause.columns == (name,) for clause in text.clauses)
    return "int" if is_key and type_.upper() == "INT" else spelling.type_name(type_)


def constraints_of(text: TableText, table: Name, referents: Mapping[str, Sequence[Any]]) -> NameMapping[Constraint]:
    """Read the constraints; ``referents`` gives the columns of the tables that are referred to."""
    clauses = clauses_of(text, table.name)
    return by_name((name, constraint_of(clause, text.sql, table, name, referents)) for name, clause in clauses)


def clauses_of(text: TableText, table: str) -> Iterator[tuple[str, Clause]]:
    """Go through the constraints by name; what has none is named as PostgreSQL would name it."""
    found = [clause for clause in text.clauses if clause.kind in _SUFFIXES]
    taken = {folded(clause.name) for clause in found if clause.name is not None}
    seen: set[str] = set()
    for clause in found:
        name = clause.name if clause.name is not None and folded(clause.name) not in seen else None
        name = name or _free(_name_for(clause, table), taken)
        taken.add(folded(name))
        seen.add(folded(name))
        yield name, clause


def _name_for(clause: Clause, table: str) -> str:
    columns = clause.columns if clause.kind != "primary key" else ()
    columns = (clause.column,) if clause.kind == "check" and clause.column else columns
    return fitting(table, *columns, _SUFFIXES[clause.kind], max_bytes=63)


def _free(name: str, taken: set[str]) -> str:
    number = 0
    while folded(f"{name}{number or ''}") in taken:
        number += 1
    return f"{name}{number or ''}"


def constraint_of(
    clause: Clause, sql: str, table: Name, name: str, referents: Mapping[str, Sequence[Any]] | None = None
) -> Constraint:
    """Read a constraint from its place in the text, with the names of others as they are spelled there."""
    known = by_name((referents or {}).items())
    infos = known.get(clause.referent or "", ())
    columns = by_name((info[1], info) for info in infos)
    remote = tuple(map(columns.spelled, clause.remote)) or _keys(infos)
    referent = Name(known.spelled(clause.referent), table.schema) if clause.referent is not None else None
    return Constraint(
        name=name,
        kind=clause.kind,
        columns=clause.columns,
        expression=clause.expression if clause.kind == "check" else None,
        referent=referent,
        remote=remote,
        onupdate=clause.onupdate,
        ondelete=clause.ondelete,
        match=clause.match,
        deferrable=clause.deferrable,
        initially=clause.initially,
        definition=sql[clause.start : clause.end],
    )


def _keys(infos: Iterable[Any]) -> tuple[str, ...]:
    keys = sorted((info[5], info[1]) for info in infos if info[5])
    return tuple(column for _, column in keys)


def index_of(definition: str, name: str, table: str, spelled: Callable[[str], str] = str) -> Index:
    """Read an index from its CREATE INDEX; ``spelled`` spells the columns."""
    words = tokens(definition)
    *elements, rest = items_of(definition, next(token.start for token in words if token.word == "ON"))
    return Index(
        name=name,
        columns=tuple(spelling.element(element, spelled) for element in elements),
        unique=words[1].word == "UNIQUE",
        where=rest[len("WHERE") :].strip() or None,
        table=table,
        definition=definition,
    )
