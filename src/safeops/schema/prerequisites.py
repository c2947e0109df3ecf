"""What a column needs before it can be created: its named type, and the sequence of its default."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safeops.databases.ddl import made_of, sequences_of
from safeops.databases.definitions import Domain
from safeops.errors import DefinitionMismatch, UnknownType
from safeops.execution.inspect import keeping
from safeops.execution.lock_retry import execute, with_lock_retry
from safeops.execution.migration import Migration
from safeops.naming import Name, call, type_code
from safeops.plan_mode import current_dry_run
from safeops.schema.types import create_enum, enum_of, existing_enum, unknown_type

Columns = Sequence[sa.Column[Any]]


def prepare(migration: Migration, columns: Columns, *, creates_enums: bool = False) -> list[str]:
    """Create the domains and sequences that columns lack, and for a new table its enums; return what was created."""
    made: list[str] = []
    check_types(migration, columns, creates_enums=creates_enums)
    with keeping(made):
        for enum in _enums(migration, columns) if creates_enums else ():
            made += create_enum(migration, enum)
        for domain in _domains(migration, columns):
            made += _create_domain(migration, domain)
        for one in {
            str(sequence.name): sequence for column in columns for sequence in _sequences(migration, column)
        }.values():
            execute(migration, migration.database.types.create_sequence(one))
            made.append(f"created sequence {one.name}")
    return made


def check_types(migration: Migration, columns: Columns, *, creates_enums: bool = False) -> None:
    """Raise the errors of missing or different types, before anything is created.

    Raises:
        UnknownType: A type does not exist, and the models do not define how to create it.
        DefinitionMismatch: A domain exists with other constraints.
    """
    if migration.offline or current_dry_run() is not None or not migration.database.abilities.has_named_types:
        return
    for enum in _enums(migration, columns):
        created = creates_enums and getattr(enum, "create_type", True)
        if not created and existing_enum(migration, enum) is None:
            raise unknown_type(migration, Name(str(enum.name), enum.schema), enum.enums)
    for type_ in _types(migration, columns):
        _check_known(migration, type_)
    for domain in _domains(migration, columns):
        _check_domain(migration, domain)


def awaits_enum(migration: Migration, column: sa.Column[Any]) -> bool:
    """Return whether, in a dry run, the enum of a column does not exist yet, and an earlier step may create it."""
    dry_run = current_dry_run()
    if dry_run is None or migration.offline:
        return False
    missing = [enum for enum in _enums(migration, [column]) if existing_enum(migration, enum) is None]
    return any(dry_run.would_create(str(enum.name)) for enum in missing)


def _types(migration: Migration, columns: Columns) -> list[Any]:
    found = [type_ for column in columns for type_ in made_of(column.type, migration.database.dialect)]
    return [one for one in found if not isinstance(one, sa.Enum)]


def _enums(migration: Migration, columns: Columns) -> list[sa.Enum]:
    has = migration.database.abilities.has_named_types
    found = [enum for column in columns if (enum := enum_of(column.type)) is not None] if has else []
    return list({(str(one.name), one.schema): one for one in found}.values())


def _domains(migration: Migration, columns: Columns) -> list[Any]:
    """Return the domains of columns, each once, after those that they are based on."""
    found = [type_ for type_ in _types(migration, columns) if migration.database.types.is_domain(type_)]
    return list({(str(one.name), one.schema): one for one in found}.values())


def _sequences(migration: Migration, column: sa.Column[Any]) -> list[sa.Sequence]:
    return list(sequences_of(column, migration.database.dialect))


def _create_domain(migration: Migration, domain: Any) -> list[str]:
    if not domain.create_type or _existing(migration, domain) is not None:
        return []
    execute(migration, migration.database.types.create_domain(domain))
    return [f"created domain {domain.name}"]


def _existing(migration: Migration, domain: Any) -> Domain | None:
    if migration.offline:
        return None
    return with_lock_retry(
        migration, f"looked at domain {domain.name}", lambda: migration.database.types.existing_domain(domain)
    )


def _check_domain(migration: Migration, domain: Any) -> None:
    existing = _existing(migration, domain)
    if existing is None and not domain.create_type:
        raise _unknown(str(domain.name), migration.database.types.domain_sql(domain))
    wanted = migration.database.types.wanted_domain(domain) if existing is not None and domain.create_type else None
    if wanted is None or wanted == existing:
        return
    as_it_is = copy.copy(domain)
    as_it_is.create_type = False
    raise DefinitionMismatch(
        f"Domain {domain.name} exists as {_shown(existing)}, not as {_shown(wanted)}.",
        why="It was not changed. The column would have other constraints than its definition.",
        remedy="Change the domain first (ALTER DOMAIN), or declare that the column uses the existing domain:",
        code=type_code(as_it_is),
    )


def _shown(domain: Domain | None) -> str:
    if domain is None:
        return "none"
    parts = [domain.base, *(["DEFAULT ..."] if domain.has_default else []), *(["NOT NULL"] if domain.required else [])]
    return " ".join(
        [*parts, *(f"CHECK {check}" if check[:1] == "(" else f"CHECK ({check})" for check in domain.checks)]
    )


def _check_known(migration: Migration, type_: Any) -> None:
    """Raise UnknownType for a composite type, a range or a type of an extension that does not exist."""
    database = migration.database
    if not _may_be_missing(type_) or database.types.is_domain(type_):
        return
    text = database.type_text(type_)
    if with_lock_retry(migration, f"looked for type {text}", lambda: database.types.lacks_type(text)):
        raise _unknown(text, database.types.creating_type(text))


def _may_be_missing(type_: Any) -> bool:
    """Return whether a type is not built into every server."""
    kind = type(type_)
    return not kind.__module__.startswith("sqlalchemy.") or kind.__name__.lstrip("_").upper() in ("CITEXT", "HSTORE")


def _unknown(name: str, sql: str) -> UnknownType:
    return UnknownType(
        f"There is no type {name}.", remedy="Create it first:", code=call("op.execute", sql), about=(name,)
    )
