"""How PostgreSQL keeps new rows filled: a row trigger before the write, and its function."""

from __future__ import annotations

import logging
from dataclasses import replace

from safeops.databases.base import Plan
from safeops.databases.definitions import Table
from safeops.databases.filling import FILLS, Filler, later_than
from safeops.databases.postgresql.plans import Plans
from safeops.databases.steps import Step
from safeops.naming import Name, fitting

log = logging.getLogger("safeops")

# Its own triggers of a table, or those that stand on one of its columns: by what they hang on, for a table or a column
# may have been renamed.
OURS = f"""
SELECT t.tgname, p.proname, n.nspname, p.prosrc FROM pg_trigger t
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE t.tgrelid = :id AND starts_with(t.tgname, '{FILLS}') AND (:column = '' OR EXISTS (
  SELECT 1 FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refobjid = t.tgrelid AND a.attname = :column))
"""
# tgtype: a row trigger, before, of INSERT or UPDATE.
BEFORE = """SELECT tgname FROM pg_trigger WHERE tgrelid = :id AND NOT tgisinternal AND tgenabled <> 'D'
  AND tgtype & 1 = 1 AND tgtype & 2 = 2 AND tgtype & 20 <> 0"""


class Filling(Plans):
    """The plans for triggers that fill."""

    def null_of(self, type_: str) -> str:
        return f"CAST(NULL AS {type_})"

    def check_value(self, query: str, type_: str) -> None:
        """Plan an INSERT of the values, because a value may be refused for its type alone."""
        with self.scratch():
            self.run(f"CREATE TEMPORARY TABLE safeops_probe (value {type_}) ON COMMIT DROP")
            self.explain(f"INSERT INTO pg_temp.safeops_probe {query}")

    def fill_new_rows(self, filler: Filler, stands: Table | None) -> Plan:
        name = fitting(FILLS, filler.table.name, filler.column, max_bytes=self.max_identifier)
        body = self._body(filler)
        if stands is not None:
            if any(row[3] == body for row in self._fillers(stands, filler.column)):
                return
            self._tell_of_later(stands, name)
        table, does = filler.table, f"new rows of {filler.table} are given their {filler.column}"
        yield Step(
            # Two runners at once could not replace one function: the second waits here.
            f"LOCK TABLE {self.quoted_table(table)} IN SHARE ROW EXCLUSIVE MODE",
            does,
            (table,),
            then=(self._function(Name(name, table.schema), body), self._trigger(filler, name)),
        )

    def _tell_of_later(self, stands: Table, name: str) -> None:
        later = later_than(name, [row[0] for row in self.read(BEFORE, id=stands.id)])
        if later:
            log.warning(
                "new rows of %s get their value by trigger %s, which runs before %s: what those change it does not see",
                stands.name,
                name,
                ", ".join(later),
            )

    def _body(self, filler: Filler) -> str:
        column = f"NEW.{self.quoted(filler.column)}"
        return (
            "\n#variable_conflict use_column\n"
            f"BEGIN\n  {column} := ({self.filled_query(filler)});\n  RETURN NEW;\n"
            # The write is the application's: without the column it would have gone well.
            "EXCEPTION WHEN OTHERS THEN\n  RETURN NEW;\nEND\n"
        )

    def _function(self, name: Name, body: str) -> str:
        tag = "$safeops$"
        while tag in body:
            tag = f"{tag[:-1]}_$"
        return (
            f"CREATE OR REPLACE FUNCTION {self.quoted_table(name)}() RETURNS trigger LANGUAGE plpgsql"
            f" {self.path_of_now()} AS {tag}{body}{tag}"
        )

    def _trigger(self, filler: Filler, name: str) -> str:
        # The condition makes the server refuse to drop the column alone, which would make every write fail.
        return (
            f"CREATE OR REPLACE TRIGGER {self.quoted(name)} BEFORE INSERT OR UPDATE ON {self.quoted_table(filler.table)}"
            f" FOR EACH ROW WHEN (NEW.{self.quoted(filler.column)} IS NULL)"
            f" EXECUTE FUNCTION {self.quoted_table(Name(name, filler.table.schema))}()"
        )

    def stop_filling(self, name: Name, column: str, stands: Table | None) -> Plan:
        found = self._unfilling(name, column, stands)
        if found:
            yield Step(found[0], f"new rows of {name} are not given their {column} any more", (name,), then=found[1:])

    def _unfilling(self, name: Name, column: str, stands: Table | None) -> tuple[str, ...]:
        if stands is None:
            named = fitting(FILLS, name.name, column, max_bytes=self.max_identifier)
            fillers = [(named, Name(named, name.schema))]
        else:
            fillers = [(row[0], Name(row[1], row[2])) for row in self._fillers(stands, column)]
        drops = [f"DROP TRIGGER IF EXISTS {self.quoted(one)} ON {self.quoted_table(name)}" for one, _ in fillers]
        if drops and stands is not None and stands.is_partitioned:
            drops.insert(0, self.lock_whole(stands.name))
        return (*drops, *(f"DROP FUNCTION IF EXISTS {self.quoted_table(one)}()" for _, one in fillers))

    def _fillers(self, stands: Table, column: str = "") -> list[tuple[str, str, str, str]]:
        return [tuple(row) for row in self.read(OURS, id=stands.id, column=column)]

    # What goes away takes its trigger along -----------------------------------------------------------------------

    def drop_column(self, name: Name, column: str, stands: Table | None) -> Plan:
        """Drop the trigger in the same transaction: before it the old application would be refused, after it everyone."""
        first = self._unfilling(name, column, stands) if stands is not None else ()
        for step in super().drop_column(name, column, stands):
            yield replace(step, sql=first[0], then=(*first[1:], step.sql, *step.then)) if first else step

    def drop_table(self, name: Name, stands: Table | None) -> Plan:
        found = [Name(row[1], row[2]) for row in self._fillers(stands)] if stands is not None else []
        functions = [f"DROP FUNCTION IF EXISTS {self.quoted_table(one)}()" for one in found]
        for step in super().drop_table(name, stands):
            yield replace(step, then=(*step.then, *functions))
