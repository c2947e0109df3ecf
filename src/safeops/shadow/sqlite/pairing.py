"""What can be paired on SQLite, and what of a pair stands."""

from __future__ import annotations

import sqlalchemy as sa

from safeops.databases.definitions import Index, Table
from safeops.databases.pairs import Pair
from safeops.databases.sqlite.text import parse
from safeops.databases.sqlite.tokens import folded, literal, quoted
from safeops.errors import DefinitionMismatch, InvalidArgument, UnsafeOperation
from safeops.naming import call
from safeops.shadow import port
from safeops.shadow.sqlite.triggers import ROW_IDS, Keeping


class Pairing(port.ShadowColumns):
    """The checks before a pair, and the look at its triggers."""

    def _keeping(self, pair: Pair, stands: Table) -> Keeping:
        return Keeping(pair, stands.sql, self.database.infos(stands.name), bool(_unique_on(stands, pair.source)))

    def _pair_triggers(self, stands: Table, *, spelled: bool = False) -> dict[str, str]:
        sql = f"""SELECT name, sql FROM {self.database.master(stands.name.schema or "main")} WHERE type = 'trigger'
            AND tbl_name = {literal(stands.name.name)} COLLATE NOCASE"""
        return {name if spelled else folded(name): text for name, text in self.read(sql)}

    def check_pair(self, pair: Pair, stands: Table) -> None:
        if stands.kind != "table":
            raise self.database.unsupported(
                f"A second column beside one of the {stands.kind} {stands.name}", "an ordinary table"
            )
        self._check_twin(pair, stands)
        keeping = self._keeping(pair, stands)
        self._check_source(keeping, stands)
        if pair.winner is None:
            self._check_conversions(pair, stands)
            return
        self._check_key(keeping, stands)
        self._check_default(keeping, stands)

    def _check_twin(self, pair: Pair, stands: Table) -> None:
        if folded(pair.source) == folded(pair.twin):
            names = f"{self.quoted(pair.source)} TO {self.quoted(pair.twin)}"
            rename = f"ALTER TABLE {self.quoted_table(stands.name)} RENAME COLUMN {names}"
            raise UnsafeOperation(
                f"{pair.source} and {pair.twin} are one name to SQLite, which goes by no case.",
                why="Applications find the column under either name as it is.",
                remedy="Rename it in one step:",
                code=call("op.execute", rename),
            )
        if pair.twin in stands.columns:
            raise DefinitionMismatch(
                f"Column {stands.name}.{pair.twin} exists, but nothing keeps it in step with {pair.source}.",
                why="It was left untouched: it may be another column, or one whose triggers were dropped.",
                remedy="Choose another name, or where it holds nothing that is needed, drop it first:",
                code=call("drop_column_if_exists", stands.name.name, pair.twin, schema=stands.name.schema),
            )

    def _check_source(self, keeping: Keeping, stands: Table) -> None:
        pair = keeping.pair
        if stands.columns[pair.source].computed is not None:
            raise UnsafeOperation(
                f"{stands.name}.{pair.source} is generated: nobody writes it, so that nothing has to be kept in step.",
                remedy="Add the generated column under its new name or type, and drop this one when nobody reads it.",
            )
        if keeping.is_row_id and pair.winner is None:
            raise UnsafeOperation(
                f"{stands.name}.{pair.source} is the row id, which numbers itself as long as it is INTEGER PRIMARY KEY.",
                remedy="Keep its type: it holds numbers of 64 bits as it is.",
            )
        taken = {folded(one) for one in stands.columns}
        if keeping.has_row_ids and taken.issuperset(ROW_IDS):
            raise self.database.unsupported(
                f"A trigger on {stands.name}, whose columns are called {', '.join(ROW_IDS)},", "one of them"
            )

    def _check_conversions(self, pair: Pair, stands: Table) -> None:
        for argument, sql in (("using", pair.value), ("reverse_using", pair.back)):
            try:
                self.read(f"SELECT ({sql or 1}) FROM {self.quoted_table(stands.name)} LIMIT 0")
            except sa.exc.DBAPIError as error:
                if self.database.errors.is_lock_failure(error):
                    raise
                raise InvalidArgument(
                    f"SQLite refuses {argument} of {stands.name}.{pair.source}: {error.orig}\nIt was asked for: {sql}",
                    remedy="Give SQL over the column's own name, without functions of one connection alone:",
                    code=f'{argument}="CAST({quoted(pair.source)} AS ...)"',
                ) from error

    def _check_key(self, keeping: Keeping, stands: Table) -> None:
        pair = keeping.pair
        info = next(one for one in keeping.infos if folded(one[1]) == folded(pair.source))
        explicit = parse(stands.sql).column(pair.source).clause("not null")
        # The key of a table WITHOUT ROWID, or of a STRICT one, is NOT NULL by itself.
        if info[5] and not keeping.is_row_id and (not keeping.has_row_ids or (info[3] and explicit is None)):
            raise self.database.unsupported(
                f"A second name for {pair.source}, in the primary key of {stands.name},",
                "an ordinary table: the key of this one takes no row without it, as the new application writes them",
                "Stop the applications, and rename it in one step:",
                f"op.{call('alter_column', stands.name.name, pair.source, new_column_name=pair.twin)}",
            )

    def _check_default(self, keeping: Keeping, stands: Table) -> None:
        """Refuse a default under a unique key: rows of the new application all have it for a moment."""
        keys = _unique_on(stands, keeping.pair.source)
        if keeping.default is not None and keys and not keeping.is_lifted:
            source = keeping.pair.source
            raise UnsafeOperation(
                f"{stands.name}.{source} has the default {keeping.default} and takes NULL, and is in the unique {keys[0]}.",
                why="SQLite's triggers work after the write: a row with the new name alone has the default under the old one"
                " for a moment, and breaks the key where another row has it too.",
                remedy="Make it NOT NULL, or take the default away first:",
                code=call("set_server_default", stands.name.name, source, None, schema=stands.name.schema),
            )


def _unique_on(stands: Table, column: str) -> list[str]:
    unique = ("unique", "primary key")
    return [
        one.name
        for one in stands.having(stands.columns[column].name)
        if (one.unique if isinstance(one, Index) else one.kind in unique)
    ]
