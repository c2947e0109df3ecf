"""Names: the nearest ones to a misspelt one, generated ones that fit, and calls written out for messages."""

from __future__ import annotations

import hashlib
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True)
class Name:
    """The name of a table or a type, in its schema; None is the connection's default schema."""

    name: str
    schema: str | None = None

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def at(self, home: str | None) -> Name:
        """Return the name as it is kept in the schema ``home``, which a copy of the database may call otherwise."""
        return Name(self.name) if self.schema == home else self


def nearest(name: str, known: Iterable[str], what: str, most: int = 8) -> str:
    """Return a sentence with the known names nearest to ``name``, or with the first ``most`` if none is near."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5) or known[:most]
    if not near:
        return f"There are no {what} at all."
    if near != known[:most]:
        return f"Did you mean {' or '.join(near)}?"
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"There are the {what} {', '.join(near)}{more}."


def fitting(*parts: str, max_bytes: int) -> str:
    """Join the parts with underscores; if that is too long, cut it and add a digest that keeps it unique."""
    whole = "_".join(parts)
    if len(whole.encode()) <= max_bytes:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole.encode()[: max_bytes - 9].decode(errors='ignore')}_{digest}"


def columns_of(table_name: Any, given: Any) -> list[str]:
    """Return the columns of a call as it should be: the one that was given alone, or what cannot be taken for one."""
    return [given] if isinstance(given, str) and given else [f"column of {table_name}"]


def call(function: str, *arguments: Any, **keywords: Any) -> Code:
    """Write a call out as code. Keywords that are None are left out; a ``Code`` argument is written as it is."""
    written = [_written(argument) for argument in arguments]
    written += [f"{key}={_written(value)}" for key, value in keywords.items() if value is not None]
    return Code(f"{function}({', '.join(written)})")


def sql_over(table_name: Any) -> Code:
    """Return a placeholder in a call for SQL that only its author knows."""
    return call("sa.text", f"SQL over columns of {table_name}")


class Code(str):
    """Text that ``call`` writes without quotes."""

    __slots__ = ()


def _written(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_written(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_written(key)}: {_written(one)}' for key, one in value.items())}}}"
    plain = isinstance(value, str) and value.isprintable() and '"' not in value and "\\" not in value
    return f'"{value}"' if plain else repr(value)


def column_code(column: Any) -> Code:
    """Write a ``sqlalchemy.Column`` out as code, as far as a message needs it."""
    rest = ", primary_key=True" if column.primary_key else "" if column.nullable else ", nullable=False"
    default = default_code(column)
    rest += f", server_default={default}" if default else ""
    return Code(f"sa.Column({_written(str(column.name))}, {type_code(column.type)}{_generated(column)}{rest})")


def _generated(column: Any) -> str:
    if column.computed is not None:
        persisted = "" if column.computed.persisted is None else f", persisted={column.computed.persisted}"
        return f", sa.Computed({_written(str(column.computed.sqltext))}{persisted})"
    if column.identity is not None:
        return f", sa.Identity({'always=True' if column.identity.always else ''})"
    return ""


def default_code(column: Any, *, as_value: bool = False) -> Code | None:
    """Write the server default of a column out as code, or ``as_value``: as what rows are filled with."""
    default = getattr(column.server_default, "arg", None)
    if isinstance(default, str):
        return Code(f"sa.literal({_written(default)})" if as_value else _written(default))
    if isinstance(default, sa.TextClause):
        return Code(f"sa.text({_written(default.text)})")
    shown = None if default is None else default.compile(compile_kwargs={"literal_binds": True})
    return None if shown is None else Code(f"sa.text({_written(str(shown))})")


_CALLED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<![\w.])[A-Z]\w*(?=\()""")


def type_code(type_: Any) -> Code:
    """Write a ``sqlalchemy`` type out as code, with the module of each class: ``sa``, or that of a dialect."""
    own = type(type_)
    dialect = re.match(r"sqlalchemy\.dialects\.(\w+)", own.__module__)
    package = dialect[1] if dialect else own.__module__
    if dialect and own.__visit_name__ == "DOMAIN":
        return Code(f"{package}.DOMAIN({domain_arguments(type_, type_code(type_.data_type))})")
    known = sys.modules.get(dialect[0]) if dialect else None

    def full(match: re.Match[str]) -> str:
        word = match[0]
        if word[0] in "'\"" or (word != own.__name__ and not hasattr(sa, word)):
            return f"{package}.{word}" if hasattr(known, word) else word
        plain = getattr(sa, word, None) is own if word == own.__name__ else True
        return f"{'sa' if plain else package}.{word}"

    return Code(_CALLED.sub(full, repr(type_)))


def domain_arguments(type_: Any, data_type: str) -> str:
    """Write the arguments of a domain out as code, which its ``repr()`` leaves out."""
    given = {name: getattr(type_, name, None) for name in ("collation", "default", "constraint_name", "check")}
    options = [f"{name}={_sql(value)}" for name, value in given.items() if value is not None]
    options += ["not_null=True"] if type_.not_null else []
    options += [f"schema={type_.schema!r}"] if type_.schema else []
    options += ["create_type=False"] if not type_.create_type else []
    return ", ".join([repr(str(type_.name)), data_type, *options])


def _sql(value: Any) -> str:
    return f"sa.text({value.text!r})" if isinstance(value, sa.TextClause) else repr(str(value))


def shell_quoted(text: str) -> str:
    """Quote a text for a shell: in double quotes if it has no special characters."""
    return f'"{text}"' if re.fullmatch(r"[\w .,:-]*", text) else shlex.quote(text)
