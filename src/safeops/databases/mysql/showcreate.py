"""Reads SHOW CREATE TABLE: all of a table in one query.

https://mariadb.com/kb/en/show-create-table/, https://dev.mysql.com/doc/refman/8.0/en/show-create-table.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_QUOTED = r"""'(?:[^'\\]|''|\\.)*'(?!') | `(?:[^`]|``)*`(?!`) | "(?:[^"\\]|""|\\.)*"(?!")"""
_DEEPEST = 6
"""How deep the parentheses are that one expression reads. It reads each text without ambiguity, so it cannot get slow."""


def _group(depth: int) -> str:
    inner = f"| {_group(depth - 1)}" if depth else ""
    return rf"""\( (?: [^'`"()]+ (?=['`"()]) | {_QUOTED} {inner} )* \)"""


_ATOM = re.compile(rf""", | (?: [^\s'`"(),]+ | {_QUOTED} | {_group(_DEEPEST)} )+ | [()]""", re.S | re.X)
_PIECE = re.compile(rf"""{_QUOTED} | [(),] | \s+ | [^\s'`"(),]+""", re.S | re.X)
# MySQL hides what older servers do not know: /*!80023 INVISIBLE */
_HIDDEN = re.compile(r"""('(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`)|/\*M?!\d*\s*(.*?)\s*\*/""", re.S)
# The server writes no text in double quotes here.
_TEXT_OR_NAME = re.compile(r"""'(?:[^'\\]|''|\\.)*'|"((?:[^"]|"")*)"|`(?:[^`]|``)*`""", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
_WITH_VALUE = {"DEFAULT", "COMMENT", "COLLATE", "CHECK", "COLUMN_FORMAT", "STORAGE", "SRID", "KEY_BLOCK_SIZE"}
_WITH_VALUE |= {"ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"}


@dataclass(frozen=True)
class Definition:
    """The definition of a column, clause by clause: one can be changed and the others repeated."""

    clauses: Mapping[str, str]

    def get(self, clause: str) -> str | None:
        return self.clauses.get(clause)

    @property
    def nullable(self) -> bool:
        return self.clauses.get("NULL") != "NOT NULL"

    def with_(self, **changes: str | None) -> Definition:
        """Return it with clauses set, or removed by None; underscores in their names mean spaces."""
        named = {name.replace("_", " "): text for name, text in changes.items()}
        kept = {name: text for name, text in {**self.clauses, **named}.items() if text is not None}
        return Definition(kept)

    @property
    def not_null(self) -> Definition:
        """The definition as NOT NULL, without the default NULL."""
        default = self.get("DEFAULT")
        return self.with_(NULL="NOT NULL", DEFAULT=None if (default or "").upper() == "NULL" else default)

    def __str__(self) -> str:
        first, last = ("type", "CHARACTER SET", "COLLATE", "GENERATED", "NULL", "DEFAULT"), ("COMMENT", "CHECK")
        middle = [name for name in self.clauses if name not in first + last]
        ordered = [name for name in (*first, *middle, *last) if name in self.clauses]
        return " ".join(_clause(name, self.clauses[name]) for name in ordered)


def _clause(name: str, text: str) -> str:
    return text if name in ("type", "NULL") else f"{name} {text}".strip()


@dataclass(frozen=True)
class Item:
    """A key or a constraint: its name, kind, columns as they are written, and what follows them."""

    name: str
    kind: str
    elements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Shown:
    """A table as SHOW CREATE TABLE shows it."""

    columns: Mapping[str, Definition]
    items: tuple[Item, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    is_partitioned: bool = False


def with_backticks(sql: str) -> str:
    """Return the text as it is without ANSI_QUOTES, a mode in which the server writes names in double quotes."""
    if not re.match(r'CREATE (TEMPORARY )?TABLE "', sql):
        return sql

    def written(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else "`" + name.replace('""', '"').replace("`", "``") + "`"

    return _TEXT_OR_NAME.sub(written, sql)


def read(sql: str) -> Shown:
    """Read the text of SHOW CREATE TABLE."""
    found = atoms(_HIDDEN.sub(lambda match: match[1] or match[2], sql) if "/*" in sql else sql)
    place = next(place for place, atom in enumerate(found) if atom.startswith("("))
    columns: dict[str, Definition] = {}
    items: list[Item] = []
    for entry in entries(found[place]):
        if entry[0][0] in '`"':
            columns[name_of(entry[0])] = definition(entry[1:])
        elif (item := _item(entry)) is not None:
            items.append(item)
    rest = found[place + 1 :]
    return Shown(columns, tuple(items), dict(_options(rest)), "PARTITION" in rest)


def atoms(sql: str) -> list[str]:
    """Split SQL at white space and commas outside quotes and parentheses."""
    found = _ATOM.findall(sql)
    # One that is alone has no partner, or is too deep inside.
    return _atoms_at_any_depth(sql) if "(" in found or ")" in found else found


def _atoms_at_any_depth(sql: str) -> list[str]:
    found: list[str] = []
    depth, start, glued = 0, 0, False
    for match in _PIECE.finditer(sql):
        piece = match.group()
        if depth == 0:
            if piece.isspace() or piece == ",":
                found += [","] if piece == "," else []
                glued = False
                continue
            start = start if glued else match.start()
            found = found[:-1] if glued else found
            found.append(sql[start : match.end()])
            glued = True
        depth += (piece == "(") - (piece == ")")
        if depth == 0:
            found[-1] = sql[start : match.end()]
    return found


def entries(group: str) -> Iterator[list[str]]:
    """Split a parenthesised list at its commas, each part into atoms."""
    entry: list[str] = []
    for atom in atoms(group.strip()[1:-1]):
        if atom == ",":
            yield entry
            entry = []
        else:
            entry.append(atom)
    if entry:
        yield entry


def name_of(atom: str) -> str:
    """Return the name in a quoted identifier, without a prefix length after it."""
    match = re.match(r"""`((?:[^`]|``)*)`|"((?:[^"]|"")*)\"""", atom)
    if match is None:
        return re.sub(r"\(\d+\)$", "", atom)
    return match[1].replace("``", "`") if match[1] is not None else match[2].replace('""', '"')


def backticked(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text_of(literal: str) -> str:
    """Return the text of a string literal."""
    bare = literal[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), bare, flags=re.S)


def definition(found: list[str]) -> Definition:
    """Read the definition of a column from its atoms."""
    words = list(found)
    clauses = {"type": words.pop(0)}
    while words and words[0].lower() in ("unsigned", "zerofill", "precision", "signed"):
        clauses["type"] += f" {words.pop(0)}"
    while words:
        word = words.pop(0).upper()
        if word == "NOT":
            second = words.pop(0).upper()
            clauses["NULL" if second == "NULL" else f"NOT {second}"] = "NOT NULL" if second == "NULL" else ""
        elif word == "NULL":
            clauses["NULL"] = "NULL"
        elif word in ("CHARACTER", "ON"):
            second, value = words.pop(0).upper(), words.pop(0)
            clauses[f"{word} {second}"] = value
        elif word in ("GENERATED", "AS"):
            clauses["GENERATED"] = _generated(word, words)
        elif word in _WITH_VALUE:
            clauses[word] = words.pop(0)
        else:
            clauses[word] = ""
    return Definition(clauses)


def _generated(word: str, words: list[str]) -> str:
    while word != "AS":
        word = words.pop(0).upper()
    expression = words.pop(0)
    kind = words.pop(0) if words and words[0].upper() in ("VIRTUAL", "STORED", "PERSISTENT") else "VIRTUAL"
    return f"ALWAYS AS {expression} {kind}"


def _item(entry: list[str]) -> Item | None:
    text = " ".join(entry)
    name, words = "", list(entry)
    if words[0].upper() == "CONSTRAINT":
        name, words = name_of(words[1]), words[2:]
    kind = words.pop(0).upper()
    if kind == "CHECK":
        return Item(name, "check", (), tuple(words[1:]), words[0])
    if kind == "FOREIGN":
        return Item(name, "foreign key", _elements(words[1]), tuple(words[2:]), text)
    if kind == "PRIMARY":
        return Item("PRIMARY", "primary key", _elements(words[1]), tuple(words[2:]), text)
    if kind in ("KEY", "INDEX"):
        return Item(name_of(words[0]), "key", _elements(words[1]), tuple(words[2:]), text)
    if kind in ("UNIQUE", "FULLTEXT", "SPATIAL"):
        return Item(name_of(words[1]), kind.lower(), _elements(words[2]), tuple(words[3:]), text)
    return None


def _elements(group: str) -> tuple[str, ...]:
    return tuple(" ".join(entry) for entry in entries(group))


def _options(found: list[str]) -> Iterator[tuple[str, str]]:
    for atom in found:
        name, equals, value = atom.partition("=")
        if equals:
            yield name.upper(), value
