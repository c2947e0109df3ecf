"""The column and its shadow column on MariaDB and MySQL: their definitions and the checks of a pair."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from safeops.databases.definitions import Constraint, Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.catalogue import definition_of, is_counted
from safeops.databases.mysql.showcreate import Definition, Item, name_of
from safeops.databases.mysql.spelling import names
from safeops.databases.triggers import Pair
from safeops.errors import DefinitionMismatch, UnsafeOperation
from safeops.naming import Name, call
from safeops.policy import assurance
from safeops.shadow.mysql.triggers import SyncTriggers, mark

TEMPORAL = ("timestamp", "datetime")


class SyncChecks(SyncTriggers):
    """The checks before a pair is created."""

    def is_marked(self, table: Table, pair: Pair, column: str) -> bool:
        """Return whether a column was added for the pair.

        Its comment marks it, unless its author has changed the comment. Then it is the one with fewer dependent objects, so
        dropping it loses nothing; of two equal ones the later, because a column is added behind the one that it follows.
        """
        both = [one for one in (pair.source, pair.shadow) if one in table.columns]
        if column not in table.columns:
            return False
        marked = [one for one in both if table.columns[one].comment in _both(pair)]
        if marked or pair.winner is None or len(both) < 2:
            return column in marked
        added = min(both, key=lambda one: (_weight(table, one), -_place(table, one)))
        return added.casefold() == column.casefold() and bool(self.trigger_names(pair))

    def is_unfinished(self, pair: Pair, table: Table) -> bool:
        return self.is_marked(table, pair, pair.shadow) and self.find_pair(table, pair.name) is None

    def moving_dependents(self, pair: Pair, table: Table) -> list[str]:
        """The names are exchanged in place: foreign keys of other tables and generated columns move too."""
        if pair.winner is None or self.is_marked(table, pair, pair.source):
            return []
        along = (
            ("foreign key ", "generated column ", "the table's partitioning")
            if self.database.abilities.renames_what_is_used
            else ("foreign key ",)
        )
        return [
            dependent
            for dependent in self.database.dependents.dependents(table, pair.source)
            if dependent.startswith(along)
        ]

    def check_pair(self, pair: Pair, table: Table) -> None:
        if pair.source.casefold() == pair.shadow.casefold():
            raise UnsafeOperation(
                f"{pair.source} and {pair.shadow} of {pair.table} are one name: {self.product} does not distinguish upper"
                " and lower case in the names of columns.",
                why="Applications find the column under either spelling, so the spelling can change in one statement.",
                remedy="Write:",
                code=self._renamed_at_once(pair),
            )
        if pair.shadow in table.columns and not self.is_marked(table, pair, pair.shadow):
            raise DefinitionMismatch(
                f"{pair.table} already has a column {pair.shadow}, which is not in sync with {pair.source}.",
                why="It was left untouched: using it as the shadow column would overwrite its values.",
                remedy="Choose another name, or drop that column first.",
            )
        if not self.database.abilities.renames_what_is_used:
            self._refuse_used(pair, table)
        self._refuse_rebuilt(pair, table)
        self._refuse_copied(pair, table)
        found = definition_of(table, pair.source)
        if "STORED" in (found.get("GENERATED") or ""):
            raise self.database.unsupported(
                f"Another name for {pair.source} of {pair.table}, a stored generated column,",
                "to copy the table",
                "Make it a virtual column, or rename it while the application is stopped:",
                self._renamed_at_once(pair),
            )
        if pair.winner is None:
            self._check_one_way(pair, table)
        elif is_counted(table, pair.source):
            self._check_counted(pair)

    def _refuse_used(self, pair: Pair, table: Table) -> None:
        """Refuse early what the server would refuse at the swap of the names, after both deploys."""
        what = f"Another {'name' if pair.type is None else 'type'} for {pair.source} of {pair.table}"
        for used_by, code in self._users(table, pair.source):
            raise self.database.unsupported(
                f"{what}, which {used_by} uses,",
                f"a server on which {used_by.rpartition(' ')[0]} follows a column to another name: PostgreSQL or MariaDB",
                f"Drop it before expand(), and create it again after the last phase{':' if code else '.'}",
                code,
            )
        checks = [check.name for check in self.checks_on(table, pair.source) if not check.options]
        if pair.winner is not None and checks and assurance() is None:
            raise UnsafeOperation(
                f"contract() would copy {pair.table} while writes wait: check constraint {checks[0]} uses {pair.source}.",
                why=f"{self.product} cannot rename a column that a check uses, and copies the table to add the check again.",
                remedy="Drop the check before expand() and create it again after contract(), or let contract() copy:",
                code=f"{self.database.ddl.written_call('drop_constraint_if_exists', checks[0], pair.table)}\n"
                "# or, in both revisions:\n"
                'with assured("the table is small"):\n    ...',
            )

    def _refuse_rebuilt(self, pair: Pair, table: Table) -> None:
        """Refuse what would prevent the last phase from dropping a column online."""
        if self.database.ddl.keeps_fulltext_column(table) and assurance() is None:
            raise UnsafeOperation(
                f"The last phase would rebuild {pair.table} while writes wait, to drop a column: a dropped FULLTEXT"
                " index left a hidden column.",
                remedy="Rebuild the table before expand(), which does not block writes:",
                code=self.database.ddl.rebuild_call(table),
            )
        kinds = ("fulltext", "spatial")
        found = next((item for item in showcreate.read(table.sql).items if item.kind in kinds), None)
        if found is not None and assurance() is None:
            drop = self.database.ddl.written_call("drop_index_if_exists", found.name, pair.table)
            raise UnsafeOperation(
                f"The last phase would rebuild {pair.table} while writes wait, to drop a column: {found.kind.upper()} index"
                f" {found.name}.",
                why=f"{self.product} cannot drop a column online from a table with such an index.",
                remedy="Drop the index before expand() and create it again after the last phase, or allow the rebuild:",
                code=f'{drop}\n# or, in all revisions:\nwith assured("the table is small"):\n    ...',
            )

    def _refuse_copied(self, pair: Pair, table: Table) -> None:
        """Refuse what would prevent switch() from making the new column NOT NULL online."""
        begun = pair.winner is not None or pair.shadow in table.columns
        if (
            begun
            or not self.database.abilities.copies_beside_stored
            or table.columns[pair.source].nullable
            or assurance() is not None
        ):
            return
        shown = showcreate.read(table.sql).columns
        for name in [one for one, found in shown.items() if "STORED" in (found.get("GENERATED") or "")]:
            drop = self.database.ddl.written_call("drop_column_if_exists", pair.table, name)
            raise UnsafeOperation(
                f"switch() would copy {pair.table} while writes wait, to make the new {pair.source} NOT NULL: {name} is a"
                " stored generated column.",
                why=f"{self.product} cannot make a column NOT NULL online in a table with a stored generated column.",
                remedy=f"Drop {name} before expand() and add it again after the last phase, or allow the copy:",
                code=f'{drop}\n# or, in all revisions:\nwith assured("the table is small"):\n    ...',
            )

    def _users(self, table: Table, column: str) -> Iterator[tuple[str, str]]:
        """Describe what uses a column in an expression, except checks, with the call that drops it."""
        shown, target = showcreate.read(table.sql), table.name.name
        for name, found in shown.columns.items():
            if name.casefold() != column.casefold() and names(found.get("GENERATED") or "", column):
                yield (
                    f"generated column {name}",
                    self.database.ddl.written_call("drop_column_if_exists", table.name, name),
                )
            elif names(found.get("DEFAULT") or "", column):
                yield f"default of {name}", self.database.ddl.written_call("set_server_default", table.name, name, None)
        for item in shown.items:
            if any(element.startswith("(") and names(element, column) for element in item.elements):
                yield (
                    f"index {item.name}",
                    self.database.ddl.written_call("drop_index_if_exists", item.name, table.name),
                )
        if names(table.sql.rpartition("\n)")[2].partition("PARTITION BY")[2], column):
            sql = f"ALTER TABLE {self.quoted_table(table.name)} REMOVE PARTITIONING"
            yield f"partitioning {target}", f"op.execute({sql!r})  # copies the table"

    def checks_on(self, table: Table, column: str) -> list[Item]:
        found = showcreate.read(table.sql).items
        return [one for one in found if one.kind == "check" and names(one.text, column)]

    def _check_counted(self, pair: Pair) -> None:
        what = f"{pair.source} of {pair.table} is AUTO_INCREMENT"
        if not self.database.abilities.renames_what_is_used:
            raise self.database.unsupported(
                f"Another name for {pair.source} of {pair.table}, which is AUTO_INCREMENT,",
                "virtual columns that show a number from the server: MariaDB or PostgreSQL",
                "Rename it while the application is stopped:",
                self._renamed_at_once(pair),
            )
        if assurance() is None:
            raise UnsafeOperation(
                f"{what}: until contract() {pair.shadow} can be read, but not written nor indexed.",
                why=f"{self.product} assigns the number after all triggers, so the second name can only be a virtual column:"
                " WHERE on it reads the whole table.",
                remedy="If the new application does not search by this column before contract(), confirm it:",
                code='with assured("the new application finds rows by other columns until then"):\n    ...',
            )

    def _check_one_way(self, pair: Pair, table: Table) -> None:
        found = definition_of(table, pair.source)
        what = f"Another type for {pair.source} of {pair.table}"
        if found.get("GENERATED"):
            raise self.database.unsupported(
                f"{what}, a generated column,", "to compute it again", "Drop it and add it again."
            )
        if found.get("ON UPDATE") and not (pair.type or "").lower().startswith(TEMPORAL):
            raise self.database.unsupported(
                f"{what}, which has ON UPDATE,", "a type that has it too: DATETIME or TIMESTAMP"
            )
        if not pair.switched:
            self.check_constraints(pair, table)

    def check_constraints(self, pair: Pair, table: Table) -> None:
        """Refuse what cannot move: a foreign key needs one type on both sides, adding a check copies the table."""
        what = f"Another type for {pair.source} of {pair.table}"
        mine = [owned for owned in table.things_using(pair.source) if isinstance(owned, Constraint)]
        stuck = [constraint.name for constraint in mine if constraint.kind in ("foreign key", "check")]
        stuck += [
            dependent
            for dependent in self.database.dependents.dependents(table, pair.source)
            if dependent.startswith("foreign key ")
        ]
        alone = definition_of(table, pair.source).get("CHECK")
        stuck += [f"CHECK {alone}"] if alone and table.columns[pair.source].type != "json" else []
        named = next(iter(stuck), None)
        if named is not None:
            code = self._dropped_by(named, pair.table)
            raise self.database.unsupported(
                f"{what} together with {named}",
                f"PostgreSQL: {self.product} requires one type on both sides of a key, and copies the table for a check",
                f"Drop it first, and create it again when the column has its new type{':' if code else '.'}",
                code,
            )

    def _renamed_at_once(self, pair: Pair) -> str:
        """Return the call that renames a column in one statement; ``op.alter_column`` would need the whole definition."""
        names = f"{self.quoted(pair.source)} TO {self.quoted(pair.shadow)}"
        return call(
            "op.execute", f"ALTER TABLE {self.quoted_table(pair.table)} RENAME COLUMN {names}, ALGORITHM=INPLACE"
        )

    def _dropped_by(self, named: str, table: Name) -> str:
        """Return the call that drops a constraint; a check inside a column definition has none."""
        if named.startswith("CHECK "):
            return ""
        key, of, other = named.removeprefix("foreign key ").rpartition(" of ")
        if not of:
            return self.database.ddl.written_call("drop_constraint_if_exists", named, table)
        schema, _, other = other.rpartition(".")
        return self.database.ddl.written_call("drop_constraint_if_exists", key, Name(other, schema), type_="foreignkey")


def _both(pair: Pair) -> tuple[str, str]:
    return mark(replace(pair, switched=False)), mark(replace(pair, switched=True))


def _weight(table: Table, column: str) -> int:
    """Count the objects of a column: indexes and constraints, NOT NULL, and attributes beyond type and default."""
    own = [owned for owned in table.things_using(column) if not owned.name.startswith("safeops")]
    more = set(definition_of(table, column).clauses) - {
        "type",
        "CHARACTER SET",
        "COLLATE",
        "NULL",
        "DEFAULT",
        "COMMENT",
    }
    return len(own) + len(more) + (not table.columns[column].nullable)


def _place(table: Table, column: str) -> int:
    return [*map(str.casefold, table.columns)].index(column.casefold())


_QUOTED = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'", re.S)


def retyped(found: Definition, type_: str) -> Definition:
    """Return a definition with another type; text keeps its character set if the new type names none."""
    bare, charset, collation = spelling.split_type(type_)
    if charset is None and collation is None and re.match(r"(var)?char|\w*text|enum|set", bare, re.I):
        charset, collation = found.get("CHARACTER SET"), found.get("COLLATE")
    bits = re.search(r"\((\d)\)", bare)
    now = f"current_timestamp({bits[1] if bits else ''})" if found.get("ON UPDATE") else None
    return found.with_(type=bare, CHARACTER_SET=charset, COLLATE=collation, ON_UPDATE=now)


def converted_alike(shadow: str, value: str, type_: str) -> str:
    """Compare a shadow column with a value as it would be stored in a column of its type."""
    bare = spelling.type_name(spelling.split_type(type_)[0])
    kind = re.split(r"[ (]", bare)[0]
    if kind in ("tinyint", "smallint", "mediumint", "int", "bigint", "year"):
        return f"({shadow} <=> CAST({value} AS DECIMAL(65, 0)))"
    if kind in ("decimal", "date", "datetime", "time", "float", "double"):
        return f"({shadow} <=> CAST({value} AS {re.sub(' (unsigned|zerofill)', '', bare)}))"
    if kind == "timestamp":
        return f"({shadow} <=> CAST({value} AS {bare.replace('timestamp', 'datetime')}))"
    if kind == "varchar" or kind.endswith("text") or kind == "json":
        texts = (f"CAST(CONVERT({one} USING utf8mb4) AS BINARY)" for one in (shadow, f"CAST({value} AS CHAR)"))
        return f"({' <=> '.join(texts)})"
    # ENUM labels match by collation and CHAR drops trailing spaces: equal values are in sync.
    return f"({shadow} <=> {value})"


def repeatable(table: Table, column: str) -> Definition:
    """Return a definition that MODIFY can repeat online: MariaDB shows JSON as a text with a check."""
    found = definition_of(table, column)
    parts = {"type": "json", "CHARACTER SET": None, "COLLATE": None, "CHECK": None}
    return found.with_(**parts) if table.columns[column].type == "json" else found


def placeholder(type_: str) -> str:
    """Return any value of a type, for the default of a column that a trigger always writes."""
    bare = spelling.type_name(type_)
    kind = re.split(r"[ (]", bare)[0]
    if kind == "enum":
        return showcreate.atoms(bare[bare.index("(") + 1 : -1])[0]
    if kind == "json":
        return "('{}')"
    if kind in ("date", "datetime", "timestamp"):
        return "'2000-01-01'"
    if kind == "uuid":
        return "'00000000-0000-0000-0000-000000000000'"
    if re.search(r"char|text|blob|binary|set", kind):
        return "('')" if re.search(r"text|blob", kind) else "''"
    return "'::'" if kind == "inet6" else "'0.0.0.0'" if kind == "inet4" else "0"


def default_for(type_: str, default: str | None, former: str) -> str | None:
    """Write a default for another type: MySQL puts that of a TEXT in parentheses, and gives the time the type's digits."""
    if default is None or default.upper() == "NULL":
        return default
    if is_wrapped(type_) or is_wrapped(former):
        found = re.fullmatch(r"\(_\w+('.*')\)", default, re.S)
        literal = found[1] if found else default
        return literal if not is_wrapped(type_) or literal.startswith("(") else f"({literal})"
    bare = spelling.type_name(type_)
    if re.match(r"datetime|timestamp", bare) and re.fullmatch(r"current_timestamp(\(\d\))?", default, re.I):
        return f"CURRENT_TIMESTAMP{bare.lstrip('abcdefghijklmnopqrstuvwxyz')}"
    return default


def is_wrapped(type_: str) -> bool:
    """Return whether a default of a type is written in parentheses."""
    return bool(re.match(r"\w*(text|blob)|json|geom|point|(multi)?(linestring|polygon|point)", type_, re.I))


def changes_columns(key: Constraint) -> bool:
    changing = ("CASCADE", "SET NULL")
    return (key.onupdate or "").upper() in changing or (key.ondelete or "").upper() == "SET NULL"


def column_of(element: str) -> str:
    """Return the column at the start of an element of an index."""
    match = _QUOTED.match(element)
    return name_of(match.group()) if match else element


def exchanged(text: str, pair: Pair) -> str:
    """Exchange the two names of a pair in SQL that the server has written."""
    names = {pair.source.casefold(): pair.shadow, pair.shadow.casefold(): pair.source}

    def named(match: re.Match[str]) -> str:
        quoted = match.group()
        other = names.get(name_of(quoted).casefold()) if quoted.startswith("`") else None
        return quoted if other is None else showcreate.backticked(other)

    return _QUOTED.sub(named, text)


def renamed(text: str, pair: Pair) -> str:
    """Replace the name of the source by that of the shadow column, in SQL that the server has written."""

    def named(match: re.Match[str]) -> str:
        quoted = match.group()
        is_source = quoted.startswith("`") and name_of(quoted).casefold() == pair.source.casefold()
        return showcreate.backticked(pair.shadow) if is_source else quoted

    return _QUOTED.sub(named, text)
