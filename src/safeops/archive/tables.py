"""Keeps a table that is dropped: it is renamed, untied from other tables, and renamed back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from safeops.archive.catalogue import ARCHIVED, RESTORING, Record
from safeops.archive.columns import catalogue_of, noted, refuse_flaw
from safeops.archive.port import Archives
from safeops.databases.definitions import Table
from safeops.execution.inspect import look, look_into
from safeops.execution.lock_retry import carry_out
from safeops.execution.migration import Migration
from safeops.execution.replication import heed_kept_table
from safeops.naming import call
from safeops.plan_mode import foreseeing
from safeops.planned import Deed


def archive_table(migration: Migration, stands: Table, explain: Callable[..., object]) -> bool:
    """Rename a table into an archive, so that its names are free and nothing ties it to other tables."""
    database, catalogue = migration.database, catalogue_of(migration)
    refuse_flaw(migration, stands, None, f"table {stands.name}")
    written = call("drop_table_if_exists", stands.name.name, schema=stands.name.schema, archive=True)
    heed_kept_table(migration, catalogue.name, catalogue.exists(), written)
    if (forecast := foreseeing()) is not None:
        drop = next(database.ddl.drop_table(stands.name, stands))
        forecast.deed(Deed(f"put table {stands.name} away as an archive", database.sizes.lock_of(drop), drop.locks))
        return True
    record = noted(
        migration, lambda: catalogue.latest(stands.name, None, open_=True) or catalogue.add(stands.name, None)
    )
    if not record.definition:
        definition = look_into(
            migration, stands.name, lambda: Archives.of(database).described_table(stands, record.archive)
        )
        definition["described"] = True
        rows = database.sizes.estimated_rows(stands.name) or 0
        noted(migration, partial(catalogue.change, record, definition=definition, kept_rows=rows))
        record = replace(record, definition=definition)
    plan = Archives.of(database).put_away(stands, record.archive, dict(record.definition))
    carry_out(migration, plan, explain)  # type: ignore[arg-type]
    noted(migration, lambda: catalogue.change(record, status=ARCHIVED))
    return True


def bring_table_back(migration: Migration, record: Record) -> None:
    """Rename an archive into the table that it was; its foreign keys are left to the caller."""
    if look(migration, record.archive) is not None:
        carry_out(
            migration, Archives.of(migration.database).bring_back(record.of, record.archive, dict(record.definition))
        )
    noted(migration, lambda: catalogue_of(migration).change(record, status=RESTORING))
