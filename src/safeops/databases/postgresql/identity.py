"""Moves the identity or the sequence of a column to its twin, without giving a number twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safeops.databases.base import Database
from safeops.databases.definitions import Table
from safeops.databases.postgresql.types import type_name
from safeops.databases.steps import ddl_compiler
from safeops.databases.triggers import Pair
from safeops.naming import Name

_SEQUENCE = """
SELECT json_build_object(
  'schema', n.nspname, 'name', c.relname, 'type', format_type(s.seqtypid, NULL), 'start', s.seqstart,
  'increment', s.seqincrement, 'max', s.seqmax, 'min', s.seqmin, 'cache', s.seqcache, 'cycle', s.seqcycle,
  'grants', (SELECT json_agg(json_build_array(x.privilege_type, CASE WHEN x.grantee = 0 THEN 'PUBLIC'
      ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.is_grantable))
    FROM aclexplode(c.relacl) x WHERE x.grantee <> c.relowner)
)::text FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.seqrelid = pg_get_serial_sequence(:table, :column)::regclass
"""
_LIMITS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def _sequence(database: Database, pair: Pair, existing: Table) -> dict[str, Any] | None:
    raw = database.scalar(_SEQUENCE, table=database.quoted_table(existing.name), column=pair.source)
    return json.loads(raw) if raw else None


def sequences(database: Database, pair: Pair, existing: Table) -> tuple[Name, ...]:
    """Return what is locked beside the table where the identity or the sequence of the source moves."""
    found = _sequence(database, pair, existing)
    return (Name(found["name"], found["schema"]),) if found else ()


def _type(pair: Pair, found: dict[str, Any]) -> str:
    wanted = type_name(pair.type or "")
    return wanted if wanted in _LIMITS else str(found["type"])


def _limit(found: dict[str, Any], type_: str) -> int:
    """Return the last number: the widest of the new type, where it was that of the old one."""
    usual = found["max"] == _LIMITS[found["type"]]
    return _LIMITS[type_] if usual else min(found["max"], _LIMITS[type_])


def moved_identity(database: Database, pair: Pair, existing: Table) -> list[str]:
    """Return the statements that give the twin the identity of the source, under the same sequence name."""
    found = _sequence(database, pair, existing)
    if found is None:
        return []
    sequence, type_ = database.quoted_table(Name(found["name"], found["schema"])), _type(pair, found)
    always = "ALWAYS" if existing.columns[pair.source].identity == "always" else "BY DEFAULT"
    options = f"SEQUENCE NAME {sequence} {_options(found, _limit(found, type_))}"
    table, text = database.quoted_table(existing.name), database.literal(sequence)
    source, shadow = database.quoted(pair.source), database.quoted(pair.shadow)
    # Altering the sequence first holds up whoever would take a number from it by itself.
    move = f"""DO $safeops$ DECLARE safeops_last bigint; safeops_called boolean; BEGIN
  ALTER SEQUENCE {sequence} CACHE {found["cache"]};
  SELECT last_value, is_called INTO safeops_last, safeops_called FROM {sequence};
  ALTER TABLE {table} ALTER COLUMN {source} DROP IDENTITY;
  ALTER TABLE {table} ALTER COLUMN {shadow} ADD GENERATED {always} AS IDENTITY ({options});
  PERFORM setval({text}, safeops_last, safeops_called);
END $safeops$"""
    return [move, *_grants(found, sequence)]


def serial_as_identity(
    database: Database, name: Name, column: str, identity: sa.Identity, existing: Table
) -> tuple[str, str] | None:
    """Return the statements that turn a serial column into an identity that goes on counting, and back."""
    there = existing.columns[column]
    raw = database.scalar(_SEQUENCE, table=database.quoted_table(existing.name), column=column)
    if raw is None or there.identity or not (there.default or "").startswith("nextval("):
        return None
    found = json.loads(raw)
    schema = name.schema if found["schema"] == existing.name.schema else found["schema"]
    sequence, table = database.quoted_table(Name(found["name"], schema)), database.quoted_table(name)
    alter = f"ALTER TABLE {table} ALTER COLUMN {database.quoted(column)}"
    generated = ddl_compiler(database.dialect).visit_identity_column(identity)
    forth = (f"{alter} DROP DEFAULT", f"DROP SEQUENCE {sequence}", f"{alter} ADD {generated}")
    options = f"AS {found['type']} {_options(found, found['max'])}"
    back = (
        f"{alter} DROP IDENTITY",
        f"CREATE SEQUENCE {sequence} {options} OWNED BY {table}.{database.quoted(column)}",
        f"{alter} SET DEFAULT nextval({database.literal(sequence)})",
    )
    own = f"pg_get_serial_sequence({database.literal(table)}, {database.literal(column)})"
    return _counting_on(table, own, forth), _counting_on(table, own, back)


def _options(found: dict[str, Any], limit: int) -> str:
    """Render the options of a sequence, as CREATE SEQUENCE takes them."""
    bounds = f"MINVALUE {found['min']} MAXVALUE {limit} CACHE {found['cache']}{' CYCLE' if found['cycle'] else ''}"
    return f"START {found['start']} INCREMENT {found['increment']} {bounds}"


def _counting_on(table: str, sequence: str, statements: Sequence[str]) -> str:
    """Write a block that exchanges the sequence of a column, and has the new one go on where the old one was."""
    changes = "".join(f"  {statement};\n" for statement in statements)
    return f"""DO $safeops$ DECLARE safeops_last bigint; safeops_called boolean; BEGIN
  LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
  EXECUTE 'SELECT last_value, is_called FROM ' || {sequence} INTO safeops_last, safeops_called;
{changes}  PERFORM setval({sequence}, safeops_last, safeops_called);
END $safeops$"""


def _grants(found: dict[str, Any], sequence: str) -> list[str]:
    return [
        f"GRANT {privilege} ON SEQUENCE {sequence} TO {role}{' WITH GRANT OPTION' if grantable else ''}"
        for privilege, role, grantable in found["grants"] or []
    ]


def moved_sequence(database: Database, pair: Pair, existing: Table) -> list[str]:
    """Return the statements by which the sequence of a serial column belongs to the twin, and has its type."""
    found = _sequence(database, pair, existing)
    if found is None:
        return []
    sequence, type_ = database.quoted_table(Name(found["name"], found["schema"])), _type(pair, found)
    changed = f" AS {type_} MAXVALUE {_limit(found, type_)}" if type_ != found["type"] else ""
    owner = f"{database.quoted_table(existing.name)}.{database.quoted(pair.shadow)}"
    return [f"ALTER SEQUENCE {sequence}{changed} OWNED BY {owner}"]
