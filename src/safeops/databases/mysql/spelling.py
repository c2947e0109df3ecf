"""How MariaDB and MySQL spell types, defaults and the parts of an index."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler
from sqlalchemy.dialects.mysql.reserved_words import RESERVED_WORDS_MARIADB, RESERVED_WORDS_MYSQL

from safeops.databases import sqltext
from safeops.databases.mysql.showcreate import Definition, text_of

_SYNONYMS = {
    "int": ("integer", "int4"),
    "tinyint": ("int1",),
    "smallint": ("int2",),
    "mediumint": ("int3", "middleint"),
    "bigint": ("int8",),
    "tinyint(1)": ("bool", "boolean"),
    "decimal": ("numeric", "dec", "fixed"),
    "double": ("real", "double precision", "float8"),
    "float": ("float4",),
    "char": ("character", "nchar", "national char"),
    "varchar": ("character varying", "char varying", "nvarchar", "national varchar"),
    "mediumtext": ("long", "long varchar"),
}
_NAMES = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms}
_RESERVED = RESERVED_WORDS_MARIADB | RESERVED_WORDS_MYSQL
_WHOLE = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_LENGTH_ONE = {"char", "binary", "bit"}
_TYPE = re.compile(r"^([a-z][a-z0-9_ ]*?)\s*(?:\((.*?)\))?((?:\s+(?:unsigned|signed|zerofill))*)$", re.S | re.I)
# What a server runs, or uses as a hint, is not a comment.
_COMMENT = re.compile(
    r"""('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`)|/\*(?!M?!|\+).*?\*/|(?:--(?=\s|$)|\#)[^\n]*""", re.S
)
_NOW = re.compile(r"\b(?:now|current_timestamp|localtimestamp|localtime)\b(?:\s*\(\s*(\d?)\s*\))?", re.I)


def without_comments(sql: str) -> str:
    """Return SQL with a space for each comment, which dumps or the client that reads them would break."""
    return _COMMENT.sub(lambda found: found[1] or " ", sql)


@lru_cache(maxsize=1024)
def type_name(text: str) -> str:
    """Return one spelling of a type for those of the server and of SQLAlchemy; display widths do not count."""
    match = _TYPE.match(text.strip())
    if not match:
        return text
    name, arguments, rest = " ".join(match[1].lower().split()), match[2] or "", match[3].lower()
    if name in ("enum", "set"):
        return f"{name}({', '.join(value for kind, value in sqltext.tokens(arguments) if kind == 'string')})"
    unsigned = " unsigned" if "unsigned" in rest or "zerofill" in rest else ""
    zerofill = " zerofill" if "zerofill" in rest else ""
    return _spelled(name, arguments.replace(" ", "")) + unsigned + zerofill


def _spelled(name: str, arguments: str) -> str:
    name = _NAMES.get(name, name)
    if name in _WHOLE:
        return "tinyint(1)" if (name, arguments) == ("tinyint", "1") else name
    if name == "float" and arguments and "," not in arguments:
        return "float" if int(arguments) <= 24 else "double"
    if name == "decimal":
        arguments = arguments or "10"
        arguments += "" if "," in arguments else ",0"
    if name in _LENGTH_ONE:
        arguments = arguments or "1"
    if name == "year" or arguments == "0":
        arguments = ""
    return f"{name}({arguments})" if arguments else name


def split_type(text: str) -> tuple[str, str | None, str | None]:
    """Take the character set and the collation off a type."""
    charset = re.search(r"\s+(?:CHARACTER SET|CHARSET)\s+(\w+)", text, re.I)
    collation = re.search(r"\s+COLLATE\s+(\w+)", text, re.I)
    bare = re.sub(r"\s+(?:CHARACTER SET|CHARSET|COLLATE)\s+\w+", "", text, flags=re.I)
    return bare, charset[1] if charset else None, collation[1] if collation else None


@lru_cache(maxsize=1024)
def default(text: str | None, on_update: str | None = None) -> str | None:
    """Spell a default uniformly, with ON UPDATE at its end, as SQLAlchemy has it."""
    if text is None or text.upper() == "NULL":
        text = None
    whole = text if on_update is None else f"{text or 'NULL'} ON UPDATE {on_update}"
    if whole is None or whole.startswith("'"):
        return whole
    whole = re.sub(r"\btrue\b", "1", re.sub(r"\bfalse\b", "0", whole, flags=re.I), flags=re.I)
    whole = re.sub(r"\s+ON\s+UPDATE\s+", " ON UPDATE ", whole, flags=re.I)
    whole = _NOW.sub(lambda match: f"current_timestamp({match[1]})" if match[1] else "current_timestamp", whole)
    return without_parentheses(whole)


def without_parentheses(text: str) -> str:
    """Drop parentheses around the whole: one server keeps them around an expression, the other does not."""
    while (
        text.startswith("(") and text.endswith(")") and sqltext.is_one_group([part for _, part in sqltext.tokens(text)])
    ):
        text = text[1:-1].strip()
    return text


def same_value(first: str | None, second: str | None) -> bool:
    """Return whether two defaults are the same number, or the same text written with other escapes."""
    if first is None or second is None:
        return False
    if first.startswith("'") and second.startswith("'"):
        return text_of(first) == text_of(second)
    try:
        return Decimal(first.strip("'")) == Decimal(second.strip("'"))
    except InvalidOperation:
        return False


def on_update(text: str | None) -> tuple[str | None, str | None]:
    """Split a default into the default proper and what follows ON UPDATE."""
    if text is None:
        return None, None
    proper, _, rest = text.partition(" ON UPDATE ") if " ON UPDATE " in text else (text, "", "")
    return proper, rest or None


def unquoted(text: str) -> str:
    """Drop unnecessary quotes around a name at the start: the server always writes them, SQLAlchemy does not."""
    match = re.match(r"`([a-z_][a-z0-9_]*)`(?!`)", text)
    return match[1] + text[match.end() :] if match and match[1] not in _RESERVED else text


def is_plain(element: str) -> bool:
    """Return whether an element of an index is a column, or the beginning of one."""
    return bool(re.fullmatch(r"(`(?:[^`]|``)*`|[^\W\d]\w*)(\(\d+\))?(\s+(asc|desc))?", element.strip(), re.I))


def index_element(text: str) -> str:
    """Put an expression into its own parentheses: without them it is not an element of an index."""
    match = re.fullmatch(r"(.*?)(\s+(?:asc|desc))?", text, re.I | re.S)
    if is_plain(text) or match is None or without_parentheses(match[1]) != match[1]:
        return text
    return f"({match[1]}){match[2] or ''}"


def expression(text: str) -> str:
    """Spell the strings of an expression uniformly: the server writes a quote in them as \\', most authors as ''."""
    return re.sub(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'", _respelled, text, flags=re.S)


def _respelled(match: re.Match[str]) -> str:
    quoted = match.group()
    if quoted.startswith("`"):
        return unquoted(quoted)
    return "'" + text_of(quoted).replace("\\", "\\\\").replace("'", "''") + "'"


def computed(expression: str, kind: str) -> str:
    """Spell a generated column uniformly: its expression, and whether it is stored."""
    stored = kind.upper() in ("STORED", "PERSISTENT")
    return sqltext.canonical(expression) + (" stored" if stored else "")


def widened(old: str, new: str) -> bool:
    """Return whether a type accepts all values of another and stores each in the same way."""
    if old == new:
        return True
    sizes = lengths(old, new)
    if sizes:
        return sizes[1] >= sizes[0]
    for kind in ("enum", "set"):
        if old.startswith(f"{kind}(") and new.startswith(f"{kind}("):
            return new.startswith(old[:-1] + ",")
    return False


def lengths(old: str, new: str) -> tuple[int, int] | None:
    """Return the lengths of two types that differ in nothing else; None if they do."""
    found = re.fullmatch(r"(varchar|varbinary)\((\d+)\)\n\1\((\d+)\)", f"{old}\n{new}")
    return (int(found[2]), int(found[3])) if found else None


def action(text: str | None) -> str | None:
    """Spell what a foreign key does: InnoDB checks at once, so RESTRICT and NO ACTION are the same."""
    upper = text.upper() if text else None
    return None if upper in (None, "NO ACTION", "RESTRICT") else upper


def names(sql: str, column: str) -> bool:
    """Return whether SQL, in the server's spelling, names a column."""
    words = (sqltext.unquoted(word) for kind, word in sqltext.tokens(sql) if kind in ("word", "quoted"))
    return any(word.casefold() == column.casefold() for word in words)


LITERAL = re.compile(
    r"""(?:[nxb]|_[a-z0-9]+\s*)?'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" | 0x[0-9a-f]+ | 0b[01]+
    | [+-]?\s*(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)? | NULL | TRUE | FALSE""",
    re.I | re.S | re.X,
)
_MOMENT = re.compile(r"(?:datetime|timestamp)(?:\((\d)\))?$")
_EXPRESSIONS_ONLY = re.compile(r"(?:tiny|medium|long)?(?:text|blob)|json|geom|point|linestring|polygon|multi", re.I)


def clause(default: str, type_: str) -> str:
    """Spell a default for a column: without parentheses if MySQL accepts that."""
    bare = without_parentheses(default.strip())
    if re.search(r"\bON\s+UPDATE\b", default, re.I):
        return default
    return bare if _is_taken_bare(bare, type_) else f"({bare})"


def _is_taken_bare(default: str, type_: str) -> bool:
    if now := _NOW.fullmatch(default):
        moment = _MOMENT.match(type_name(type_))
        return moment is not None and (moment[1] or "0") == (now[1] or "0")
    if default.upper() == "NULL":
        return True
    return LITERAL.fullmatch(default) is not None and not needs_expression(type_)


def needs_expression(type_: str) -> bool:
    """Return whether columns of the type accept a default only as an expression."""
    return _EXPRESSIONS_ONLY.match(type_.strip()) is not None


def respelled(found: Definition) -> Definition:
    """Spell the default of a definition as its type requires: TEXT an expression, a time the digits of the type."""
    type_, default, on_update = found.clauses["type"], found.get("DEFAULT"), found.get("ON UPDATE")
    if default is None:
        return found
    moment = _MOMENT.match(type_name(type_))
    digits = f"({moment[1]})" if moment and moment[1] else ""
    if moment and _NOW.fullmatch(default):
        default, on_update = f"CURRENT_TIMESTAMP{digits}", on_update and f"CURRENT_TIMESTAMP{digits}"
    return found.with_(DEFAULT=clause(default, type_), ON_UPDATE=on_update)


def needs_definition(default: str | None, type_: str) -> bool:
    """Return whether the default can only be set or removed by the column's whole definition."""
    if default is None:
        return needs_expression(type_)
    bare = without_parentheses(default.strip())
    takes = LITERAL if needs_expression(type_) else _NOW
    return takes.fullmatch(bare) is not None


def is_constant(expression: str) -> bool:
    """Return whether an expression certainly has the same value for each row: it calls nothing."""
    strings = r"'(?:[^'\\]|''|\\.)*'"
    return not re.search(r"\w\s*\(|\bcurrent_|\blocaltime|\butc_", re.sub(strings, "", expression), re.I)


class SpelledDDL(MySQLDDLCompiler):
    """Compiles columns as SQLAlchemy does, with each default as ``clause`` spells it."""

    def get_column_specification(self, column: sa.Column[Any], **kw: Any) -> str:
        whole = super().get_column_specification(column, **kw)
        default = self.get_column_default_string(column)
        written = (f"DEFAULT ({default})", f"DEFAULT {default}")
        tail = next((text for text in written if default is not None and whole.endswith(text)), None)
        if default is None or tail is None:
            return whole
        type_ = self.dialect.type_compiler_instance.process(column.type)
        return f"{whole.removesuffix(tail)}DEFAULT {clause(default, type_)}"
