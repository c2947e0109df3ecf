"""How PostgreSQL spells types, blocks and names, and the types and sequences that columns are made with."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.ddl.base import AddColumn
from sqlalchemy.dialects.postgresql import DOMAIN, CreateDomainType
from sqlalchemy.schema import CreateSequence

from safeops.databases import ddl
from safeops.databases.base import Database
from safeops.databases.ddl import made_of, sequences_of
from safeops.databases.definitions import Domain, Table
from safeops.databases.steps import Plan, Step, ddl_compiler
from safeops.databases.triggers import Pair
from safeops.naming import Name
from safeops.planned import Effect

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

# Each is a keyword, which means a type of the server under any search_path.
_KEYWORDS = re.compile(
    r"(varchar|char|integer|bigint|smallint|boolean|real|double precision|numeric|timestamp with(out)? time zone"
    r"|time with(out)? time zone)( ?\(\d+(, ?\d+)?\))?",
    re.IGNORECASE,
)

# A domain has the rules of its base domain too.
DOMAINS = """
WITH RECURSIVE chain AS (
  SELECT t.* FROM pg_type t WHERE t.oid = to_regtype(:type)
  UNION ALL SELECT t.* FROM pg_type t JOIN chain c ON c.typtype = 'd' AND t.oid = c.typbasetype)
SELECT json_build_object(
  'base', (SELECT format_type(typbasetype, typtypmod) FROM chain c WHERE typtype = 'd'
    AND NOT EXISTS (SELECT FROM chain d WHERE d.typtype = 'd' AND d.oid = c.typbasetype)),
  'required', bool_or(typtype = 'd' AND typnotnull),
  'has_default', bool_or(typtype = 'd' AND typdefault IS NOT NULL),
  'checks', (SELECT json_agg(pg_get_expr(k.conbin, 0) ORDER BY k.conname) FROM pg_constraint k
    WHERE k.contype = 'c' AND k.contypid IN (SELECT oid FROM chain)))::text
FROM chain HAVING bool_or(typtype = 'd')
"""


class Types(ddl.Types):
    """The domains and the enums of PostgreSQL."""

    database: PostgreSQL

    def domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        return self.existing_domain(type_) or (self.wanted_domain(type_) if self.is_domain(type_) else None)

    def existing_domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        text = split_collation(self.database.type_text(type_))[0]
        own = _KEYWORDS.fullmatch(text) or (self.database.surroundings.own_types_first and is_built_in(text.lower()))
        return None if own else self._domain(text)

    def _domain(self, text: str) -> Domain | None:
        raw = self.scalar(DOMAINS, type=text)
        found = json.loads(raw) if raw is not None else None
        if found is None:
            return None
        return Domain(found["base"], found["required"], found["has_default"], tuple(found["checks"] or ()))

    def is_domain(self, type_: Any) -> bool:
        return isinstance(type_, DOMAIN)

    def wanted_domain(self, type_: Any) -> Domain | None:
        asked = copy.copy(type_)
        asked.name, asked.schema = PROBE, "pg_temp"
        made = self._missing_domains(type_.data_type)
        with self.database.scratch():
            for sql in (*made, self.domain_sql(asked)):
                self.run(sql)
            return self._domain(f"pg_temp.{PROBE}")

    def domain_sql(self, type_: Any) -> str:
        return self.database.rendered(CreateDomainType(type_))

    def _missing_domains(self, type_: sa.types.TypeEngine[Any]) -> list[str]:
        domains = [domain for domain in made_of(type_, self.database.dialect) if self.is_domain(domain)]
        return [self.domain_sql(domain) for domain in domains if self.existing_domain(domain) is None]

    def create_domain(self, type_: Any) -> Plan:
        name = Name(str(type_.name), type_.schema)
        sql = self.domain_sql(type_)
        guarded = block(f"to_regtype({self.literal(self.quoted_table(name))}) IS NULL", sql)
        yield Step(sql, f"created domain {name}", offline=guarded, effect=Effect(name))

    def lacks_type(self, text: str) -> bool:
        bare = split_collation(text)[0]
        if re.fullmatch(r"(small|big)?serial[248]?", bare, re.IGNORECASE):
            return False
        try:
            return bool(self.scalar("SELECT to_regtype(:type) IS NULL", type=bare))
        except sa.exc.DBAPIError as error:
            if self.database.errors.is_lock_failure(error) or error.connection_invalidated:
                raise
            # It is more than a type.
            return False

    def creating_type(self, text: str) -> str:
        name = re.sub(r"\(.*\)|\[\d*\]", "", text).strip()
        known = self.scalar("SELECT 1 FROM pg_available_extensions WHERE name = lower(:name)", name=name)
        return f"CREATE EXTENSION IF NOT EXISTS {name.lower()}" if known else f"CREATE TYPE {name} AS (...)"

    def adding(self, column: sa.Column[Any]) -> list[str]:
        """Return the statements that add the column, behind those that make what it lacks."""
        sequences = [
            CreateSequence(sequence, if_not_exists=True) for sequence in sequences_of(column, self.database.dialect)
        ]
        return [
            *self._missing_domains(column.type),
            *map(self.database.rendered, sequences),
            self.database.rendered(AddColumn(PROBE, column)),
        ]

    def serial_as_identity(
        self, name: Name, column: str, identity: sa.Identity, existing: Table
    ) -> tuple[str, str] | None:
        """Return the statements that turn a serial column into an identity that continues its numbers, and back."""
        serial = existing.columns[column]
        found = _sequence(self.database, existing, column)
        if found is None or serial.identity or not (serial.default or "").startswith("nextval("):
            return None
        schema = name.schema if found["schema"] == existing.name.schema else found["schema"]
        sequence, table = self.quoted_table(Name(found["name"], schema)), self.quoted_table(name)
        alter = f"ALTER TABLE {table} ALTER COLUMN {self.quoted(column)}"
        generated = ddl_compiler(self.database.dialect).visit_identity_column(identity)
        forth = (f"{alter} DROP DEFAULT", f"DROP SEQUENCE {sequence}", f"{alter} ADD {generated}")
        options = f"AS {found['type']} {_options(found, found['max'])}"
        back = (
            f"{alter} DROP IDENTITY",
            f"CREATE SEQUENCE {sequence} {options} OWNED BY {table}.{self.quoted(column)}",
            f"{alter} SET DEFAULT nextval({self.literal(sequence)})",
        )
        own = f"pg_get_serial_sequence({self.literal(table)}, {self.literal(column)})"
        return _counting_on(table, own, forth), _counting_on(table, own, back)

    def enum(self, name: Name) -> tuple[str, ...] | None:
        sql = """SELECT e.enumlabel FROM pg_type t LEFT JOIN pg_enum e ON e.enumtypid = t.oid
            WHERE t.typtype = 'e' AND t.oid = to_regtype(:quoted) ORDER BY e.enumsortorder"""
        rows = self.read(sql, quoted=self.quoted_table(name))
        return tuple(row[0] for row in rows if row[0] is not None) if rows else None

    def enum_names(self, schema: str | None) -> list[str]:
        sql = """SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'e' AND CASE WHEN :schema = '' THEN pg_type_is_visible(t.oid) ELSE n.nspname = :schema END"""
        return [row[0] for row in self.read(sql, schema=schema or "")]


PROBE = "safeops_probe"
"""The empty temporary copy on which the server itself spells a definition, or shows what a change would do."""
_SYNONYMS = {
    "character varying": "varchar nvarchar",
    "character": "char nchar",
    "integer": "int int4 serial",
    "bigint": "bigserial int8",
    "smallint": "smallserial int2",
    "boolean": "bool",
    "numeric": "decimal dec",
    "double precision": "float double float8",
    "real": "float4",
    "timestamp with time zone": "timestamptz",
    "time with time zone": "timetz",
    "bit varying": "varbit",
}
_NAMES = {short: name for name, synonyms in _SYNONYMS.items() for short in synonyms.split()}
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
    """Return the SQLSTATE of any driver's error."""
    original = getattr(error, "orig", None) or error
    # pg8000 gives the fields of the server's message.
    fields = next(iter(getattr(original, "args", ())), None)
    found = fields.get("C") if isinstance(fields, dict) else None
    return getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or found


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


_LITERAL = re.compile(r"'(?:[^']|'')*'|-?\d+(?:\.\d+)?|true|false", re.IGNORECASE)
_BUILT_IN = re.compile(
    r"(character varying|character|text|integer|bigint|smallint|numeric|real|double precision|boolean|date|uuid|jsonb?|bytea"
    r"|(timestamp|time)(\(\d\))? with(out)? time zone)(\(\d+(,\d+)?\))?"
)
_VARYING = re.compile(r"character varying(?:\((\d+)\))?")


def is_literal(text: str | None) -> bool:
    """Return whether a default is one value other than NULL."""
    return text is not None and _LITERAL.fullmatch(text) is not None


def is_built_in(type_: str) -> bool:
    """Return whether a type, spelled as ``format_type()`` does, is one of the server's own with a single spelling."""
    return _BUILT_IN.fullmatch(type_) is not None


def widens(old: str, new: str) -> bool:
    """Return whether each text of the old type is unchanged one of the new type."""
    before, after = _VARYING.fullmatch(old), _VARYING.fullmatch(type_name(new))
    return before is not None and after is not None and (not after[1] or int(before[1] or 2**31) <= int(after[1]))


def split_collation(type_text: str) -> tuple[str, str | None]:
    """Take ``COLLATE "x"`` off a type."""
    match = re.match(r'^(.*?)\s+COLLATE\s+"?([^"]+)"?$', type_text, re.DOTALL)
    return (match[1], match[2]) if match else (type_text, None)


def block(condition: str, statement: str) -> str:
    """Render a block that runs a statement if a condition holds; no name in it can end the block."""
    body = f"BEGIN\n  IF {condition} THEN\n    {statement};\n  END IF;\nEND"
    return f"DO {in_dollars(body)}"


def procedure(declared: str, body: str) -> str:
    """Render a block with variables; no name in it can end the block."""
    whole = f"DECLARE{declared}\nBEGIN{body}\nEND"
    return f"DO {in_dollars(whole)}"


def in_dollars(body: str) -> str:
    """Quote a body with dollars, by a tag that it does not have."""
    tag = dollar_tag(body)
    return f"{tag} {body} {tag}"


def dollar_tag(body: str) -> str:
    tag = "$safeops$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return tag


def object_name(first: str, second: str, label: str, size: int = 63) -> str:
    """Return the name that the server makes up: it shortens the longer of the two parts until all fits.

    https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/commands/indexcmds.c (makeObjectName)
    """
    one, other, room = len(first.encode()), len(second.encode()), size - len(label.encode()) - 2
    while one + other > room:
        one, other = (one - 1, other) if one > other else (one, other - 1)
    parts = (first.encode()[:one].decode(errors="ignore"), second.encode()[:other].decode(errors="ignore"), label)
    return "_".join(parts)


# Sequences of columns -----------------------------------------------------------------------------------------------

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


def _sequence(database: Database, existing: Table, column: str) -> dict[str, Any] | None:
    raw = database.scalar(_SEQUENCE, table=database.quoted_table(existing.name), column=column)
    return json.loads(raw) if raw else None


def sequences(database: Database, pair: Pair, existing: Table) -> tuple[Name, ...]:
    """Return what is locked in addition to the table when the identity or the sequence of the source moves."""
    found = _sequence(database, existing, pair.source)
    return (Name(found["name"], found["schema"]),) if found else ()


def _type(pair: Pair, found: dict[str, Any]) -> str:
    wanted = type_name(pair.type or "")
    return wanted if wanted in _LIMITS else str(found["type"])


def _limit(found: dict[str, Any], type_: str) -> int:
    """Return the last number: that of the new type, if it was that of the old one."""
    usual = found["max"] == _LIMITS[found["type"]]
    return _LIMITS[type_] if usual else min(found["max"], _LIMITS[type_])


def moved_identity(database: Database, pair: Pair, existing: Table) -> list[str]:
    """Return the statements that move the identity of the source to the shadow, under the same sequence name."""
    found = _sequence(database, existing, pair.source)
    if found is None:
        return []
    sequence, type_ = database.quoted_table(Name(found["name"], found["schema"])), _type(pair, found)
    always = "ALWAYS" if existing.columns[pair.source].identity == "always" else "BY DEFAULT"
    options = f"SEQUENCE NAME {sequence} {_options(found, _limit(found, type_))}"
    table, text = database.quoted_table(existing.name), database.literal(sequence)
    source, shadow = database.quoted(pair.source), database.quoted(pair.shadow)
    # Altering the sequence first blocks sessions that would take a number from it.
    move = f"""DO $safeops$ DECLARE safeops_last bigint; safeops_called boolean; BEGIN
  ALTER SEQUENCE {sequence} CACHE {found["cache"]};
  SELECT last_value, is_called INTO safeops_last, safeops_called FROM {sequence};
  ALTER TABLE {table} ALTER COLUMN {source} DROP IDENTITY;
  ALTER TABLE {table} ALTER COLUMN {shadow} ADD GENERATED {always} AS IDENTITY ({options});
  PERFORM setval({text}, safeops_last, safeops_called);
END $safeops$"""
    return [move, *_grants(found, sequence)]


def _options(found: dict[str, Any], limit: int) -> str:
    """Render the options of a sequence, as CREATE SEQUENCE takes them."""
    bounds = f"MINVALUE {found['min']} MAXVALUE {limit} CACHE {found['cache']}{' CYCLE' if found['cycle'] else ''}"
    return f"START {found['start']} INCREMENT {found['increment']} {bounds}"


def _counting_on(table: str, sequence: str, statements: Sequence[str]) -> str:
    """Render a block that exchanges the sequence of a column; the new one continues from the old one."""
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
    """Return the statements that give the sequence of a serial column to the shadow, with its type."""
    found = _sequence(database, existing, pair.source)
    if found is None:
        return []
    sequence, type_ = database.quoted_table(Name(found["name"], found["schema"])), _type(pair, found)
    changed = f" AS {type_} MAXVALUE {_limit(found, type_)}" if type_ != found["type"] else ""
    owner = f"{database.quoted_table(existing.name)}.{database.quoted(pair.shadow)}"
    return [f"ALTER SEQUENCE {sequence}{changed} OWNED BY {owner}"]
