"""What MariaDB and MySQL cannot keep in step, said before anything is touched; and what goes along with a column."""

from __future__ import annotations

from safeops.databases.definitions import Constraint, Table
from safeops.databases.mysql.catalogue import definition_of
from safeops.databases.mysql.twin_triggers import TwinTriggers, is_counted
from safeops.databases.twins import MARK, Pair
from safeops.errors import DefinitionMismatch, UnsafeOperation
from safeops.naming import Code, call
from safeops.policy import assurance

TEMPORAL = ("timestamp", "datetime")


class TwinChecks(TwinTriggers):
    """What is looked at and refused before a pair is made."""

    def is_marked(self, stands: Table, pair: Pair, column: str) -> bool:
        """Tell whether a column was added for the pair."""
        there = stands.columns.get(column)
        return there is not None and there.comment in _both(pair)

    def is_unfinished(self, pair: Pair, stands: Table) -> bool:
        return self.is_marked(stands, pair, pair.twin) and self.pair_named(stands, pair.name) is None

    def belongings(self, pair: Pair, stands: Table) -> list[str]:
        """The names are exchanged in place, so that foreign keys of others and generated columns go along."""
        if pair.winner is None or self.is_marked(stands, pair, pair.source):
            return []
        along = ("foreign key ", "generated column ")
        return [one for one in self.dependents(stands, pair.source) if one.startswith(along)]

    def check_pair(self, pair: Pair, stands: Table) -> None:
        if pair.twin in stands.columns and not self.is_marked(stands, pair, pair.twin):
            raise DefinitionMismatch(
                f"{pair.table} has a column {pair.twin} already, which is not kept in step with {pair.source}.",
                why="It was left untouched: taking it for the twin would overwrite what stands in it.",
                remedy="Choose another name, or drop that column first.",
            )
        found = definition_of(stands, pair.source)
        if "STORED" in (found.get("GENERATED") or ""):
            raise self.unsupported(
                f"Another name for {pair.source} of {pair.table}, a stored generated column,",
                "to copy the table",
                "Make it a virtual one, or rename it while the application rests:",
                call("op.alter_column", pair.table.name, pair.source, new_column_name=pair.twin),
            )
        if pair.winner is None:
            self._check_one_way(pair, stands)
        elif is_counted(stands, pair.source) and assurance() is None:
            raise self._counted(pair)

    def _counted(self, pair: Pair) -> UnsafeOperation:
        return UnsafeOperation(
            f"{pair.source} of {pair.table} is AUTO_INCREMENT: until contract() {pair.twin} can be read, but not written"
            " nor indexed.",
            why=f"{self.product} gives out the number after all triggers, so that the second name can but be a virtual"
            " column: WHERE by it reads the whole table.",
            remedy="Where the new application does not look for rows by it before contract(), say so:",
            code='with assured("the new application finds rows by other columns until then"):\n    ...',
        )

    def _check_one_way(self, pair: Pair, stands: Table) -> None:
        found = definition_of(stands, pair.source)
        what = f"Another type for {pair.source} of {pair.table}"
        if found.get("GENERATED"):
            raise self.unsupported(f"{what}, a generated column,", "to compute it anew", "Drop it and add it again.")
        if pair.source.casefold() in map(str.casefold, stands.primary_key) or is_counted(stands, pair.source):
            change = call("alter_column_type", pair.table.name, pair.source, Code("sa.BigInteger()"))
            raise self.unsupported(
                f"{what}, a column of the primary key,",
                f"PostgreSQL: {self.product} copies the whole table to change its key, and writes wait meanwhile",
                "Where they may wait, change it in place:",
                f'with assured("nobody writes meanwhile"):\n    {change}',
            )
        if found.get("ON UPDATE") and not (pair.type or "").lower().startswith(TEMPORAL):
            raise self.unsupported(f"{what}, which has ON UPDATE,", "a type that has it too: DATETIME or TIMESTAMP")
        if not pair.switched:
            self.check_constraints(pair, stands)

    def check_constraints(self, pair: Pair, stands: Table) -> None:
        """Refuse what cannot move: a foreign key wants one type on both sides, a check is added by copying the table."""
        what = f"Another type for {pair.source} of {pair.table}"
        mine = [one for one in stands.having(pair.source) if isinstance(one, Constraint)]
        stuck = [one.name for one in mine if one.kind in ("foreign key", "check")]
        stuck += [one for one in self.dependents(stands, pair.source) if one.startswith("foreign key ")]
        alone = definition_of(stands, pair.source).get("CHECK")
        stuck += [f"CHECK {alone}"] if alone and stands.columns[pair.source].type != "json" else []
        named = next(iter(stuck), None)
        if named is not None:
            code = _dropping(named, pair.table.name)
            raise self.unsupported(
                f"{what} together with {named}",
                f"PostgreSQL: {self.product} wants one type on both sides of a key, and copies the table for a check",
                f"Drop it before this, and create it again when the column has its other type{':' if code else '.'}",
                code,
            )


def _dropping(named: str, table: str) -> str:
    """Return the call that drops a constraint; the check that is part of a column's definition has none."""
    if named.startswith("CHECK "):
        return ""
    key, of, other = named.removeprefix("foreign key ").rpartition(" of ")
    if not of:
        return call("drop_constraint_if_exists", named, table)
    schema, _, other = other.rpartition(".")
    return call("drop_constraint_if_exists", key, other, type_="foreignkey", schema=schema)


def mark(pair: Pair) -> str:
    """Return the comment of the column that was added for a pair, or that stays behind."""
    return f"{MARK}{pair.name}{' switched' if pair.switched else ''}"


def _both(pair: Pair) -> tuple[str, str]:
    plain = f"{MARK}{pair.name}"
    return plain, f"{plain} switched"
