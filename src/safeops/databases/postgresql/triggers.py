"""How PostgreSQL keeps new rows filled: a row trigger before the write, and its function."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from safeops.databases import triggers
from safeops.databases.definitions import Table
from safeops.databases.postgresql.server import SHARE_ROW_EXCLUSIVE
from safeops.databases.postgresql.types import dollar_tag
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import FILLS, Filler, later_than
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

log = logging.getLogger("safeops")

# The filling triggers of a table, or of one of its columns: found by dependencies, because a table or a column may have
# been renamed.
FILLING_TRIGGERS = f"""
SELECT t.tgname, p.proname, n.nspname, p.prosrc FROM pg_trigger t
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE t.tgrelid = :id AND starts_with(t.tgname, '{FILLS}') AND (:column = '' OR EXISTS (
  SELECT 1 FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refobjid = t.tgrelid AND a.attname = :column))
"""
# tgtype: a row trigger, before, of INSERT or UPDATE.
BEFORE_TRIGGERS = """SELECT tgname FROM pg_trigger WHERE tgrelid = :id AND NOT tgisinternal AND tgenabled <> 'D'
  AND tgtype & 1 = 1 AND tgtype & 2 = 2 AND tgtype & 20 <> 0"""

# On a partitioned table those of its partitions run too. One of the server's own cancels only what changes nothing.
UPDATE_TRIGGERS = """
WITH tables AS (SELECT CAST(to_regclass(:table) AS oid) AS id UNION SELECT relid FROM pg_partition_tree(to_regclass(:table)))
SELECT DISTINCT 'trigger', g.tgname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
WHERE g.tgrelid IN (SELECT id FROM tables) AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 16 > 0
  AND NOT starts_with(p.proname, 'safeops') AND p.oid <> 'pg_catalog.suppress_redundant_updates_trigger()'::regprocedure
UNION SELECT 'rule', r.rulename FROM pg_rewrite r
WHERE r.ev_class IN (SELECT id FROM tables) AND r.ev_type = '2' AND r.is_instead ORDER BY 1, 2
"""


class Triggers(triggers.Triggers):
    """The plans for triggers that fill."""

    database: PostgreSQL

    def null_of(self, type_: str) -> str:
        return f"CAST(NULL AS {type_})"

    def check_value(self, query: str, type_: str) -> None:
        """Plan an INSERT of the values, because a value may be refused for its type alone."""
        with self.database.scratch():
            self.run(f"CREATE TEMPORARY TABLE safeops_probe (value {type_}) ON COMMIT DROP")
            self.database.sizes.explain(f"INSERT INTO pg_temp.safeops_probe {query}")

    def fill_new_rows(self, filler: Filler, existing: Table | None) -> Plan:
        name = self.fitting(FILLS, filler.table.name, filler.column)
        body = self._body(filler)
        if existing is not None:
            if any(row[3] == body for row in self.fillers(existing, filler.column)):
                return
            self._tell_of_later(existing, name)
        table, does = filler.table, f"created the fill trigger of {filler.table}.{filler.column}"
        yield Step(
            # Two runners at once could not replace one function: the second waits here.
            f"LOCK TABLE {self.quoted_table(table)} IN SHARE ROW EXCLUSIVE MODE",
            does,
            (table,),
            lock=SHARE_ROW_EXCLUSIVE,
            then=(self._function(Name(name, table.schema), body), self._trigger(filler, name)),
        )

    def _tell_of_later(self, existing: Table, name: str) -> None:
        later = later_than(name, [row[0] for row in self.read(BEFORE_TRIGGERS, id=existing.id)])
        if later:
            log.warning(
                "new rows of %s get their value by trigger %s, which runs before %s: what those change it does not see",
                existing.name,
                name,
                ", ".join(later),
            )

    def _body(self, filler: Filler) -> str:
        column = f"NEW.{self.quoted(filler.column)}"
        return (
            "\n#variable_conflict use_column\n"
            f"BEGIN\n  {column} := ({self.filled_query(filler)});\n  RETURN NEW;\n"
            # The write is the application's, and would have succeeded without the column.
            "EXCEPTION WHEN OTHERS THEN\n  RETURN NEW;\nEND\n"
        )

    def _function(self, name: Name, body: str) -> str:
        tag = dollar_tag(body)
        return (
            f"CREATE OR REPLACE FUNCTION {self.quoted_table(name)}() RETURNS trigger LANGUAGE plpgsql"
            f" {self.database.ddl.path_of_now()} AS {tag}{body}{tag}"
        )

    def _trigger(self, filler: Filler, name: str) -> str:
        # The condition makes the server refuse to drop the column alone, which would make every write fail.
        return (
            f"CREATE OR REPLACE TRIGGER {self.quoted(name)} BEFORE INSERT OR UPDATE ON {self.quoted_table(filler.table)}"
            f" FOR EACH ROW WHEN (NEW.{self.quoted(filler.column)} IS NULL)"
            f" EXECUTE FUNCTION {self.quoted_table(Name(name, filler.table.schema))}()"
        )

    def stop_filling(self, name: Name, column: str, existing: Table | None) -> Plan:
        found = self.unfilling(name, column, existing)
        if found:
            yield Step(found[0], f"dropped the fill trigger of {name}.{column}", (name,), then=found[1:])

    def unfilling(self, name: Name, column: str, existing: Table | None) -> tuple[str, ...]:
        if existing is None:
            named = self.fitting(FILLS, name.name, column)
            fillers = [(named, Name(named, name.schema))]
        else:
            fillers = [(row[0], Name(row[1], row[2])) for row in self.fillers(existing, column)]
        drops = [f"DROP TRIGGER IF EXISTS {self.quoted(one)} ON {self.quoted_table(name)}" for one, _ in fillers]
        if drops and existing is not None and existing.is_partitioned:
            drops.insert(0, self.database.ddl.lock_whole(existing.name))
        return (*drops, *(f"DROP FUNCTION IF EXISTS {self.quoted_table(one)}()" for _, one in fillers))

    def fillers(self, existing: Table, column: str = "") -> list[tuple[str, str, str, str]]:
        return [tuple(row) for row in self.read(FILLING_TRIGGERS, id=existing.id, column=column)]

    def update_triggers(self, table: Name) -> list[str]:
        rows = self.read(UPDATE_TRIGGERS, table=self.quoted_table(table))
        return [f"{kind} {self.quoted(name)}" for kind, name in rows]

    # Triggers of what is dropped ----------------------------------------------------------------------------------
