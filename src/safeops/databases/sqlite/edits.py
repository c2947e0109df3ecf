"""Edits of a CREATE TABLE text: each changes the one clause in question, so that all the rest survives as it is.

What an edit puts in, its inverse takes out again to the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from safeops.databases.sqlite.spelling import folded, quoted, tokens
from safeops.databases.sqlite.text import Clause, ColumnText, TableText, parse

Edit = Callable[[str], str]

NOTE = " /* safeops: for the primary key */"
"""Stands behind a NOT NULL that a primary key brought with it: dropping the key gives NULL back."""


def adding_column(spec: str) -> Edit:
    """Put a column where ALTER TABLE ADD COLUMN puts it: before the constraints of the table."""
    return lambda sql: _inserted(sql, parse(sql).columns[-1].end, f", {spec}")


def dropping_column(name: str) -> Edit:
    """Take a column out, with the constraints of the table that are of this column alone."""

    def edit(sql: str) -> str:
        text = parse(sql)
        column = text.column(name)
        own = [one for one in text.constraints if is_of_column_alone(text, one, name)]
        spans = [_with_comma(sql, column.start, column.end), *(_with_comma(sql, one.start, one.end) for one in own)]
        return _replaced(sql, [(start, end, "") for start, end in spans])

    return edit


def adding_constraint(spec: str, not_null: Sequence[str] = ()) -> Edit:
    """Put a constraint at the end of the table, and make columns NOT NULL in the same go."""

    def edit(sql: str) -> str:
        for name in not_null:
            sql = setting_not_null(name, NOTE)(sql)
        text = parse(sql)
        end = max([text.columns[-1].end, *(one.end for one in text.constraints)])
        # On a line of its own: SQLAlchemy takes two quoted names in one line for one.
        return _inserted(sql, end, f",\n\t{spec}")

    return edit


def dropping_clause(found: Callable[[TableText], Clause]) -> Edit:
    """Take out one constraint of the table or of a column."""

    def edit(sql: str) -> str:
        clause = found(parse(sql))
        alone = clause.column is None
        start, end = _with_comma(sql, clause.start, clause.end) if alone else _with_space(sql, clause)
        return _replaced(sql, [(start, end, "")])

    return edit


def giving_null_back(sql: str) -> str:
    """Take out what a primary key brought with it."""
    clauses = [one for one in parse(sql).clauses if one.kind == "not null" and sql.startswith(NOTE, one.end)]
    return _replaced(sql, [(*_with_space(sql, one), "") for one in clauses])


def setting_not_null(name: str, note: str = "") -> Edit:
    def edit(sql: str) -> str:
        column = parse(sql).column(name)
        if column.clause("not null"):
            return sql
        return _inserted(sql, _place_after(column, "collate", "default"), f" NOT NULL{note}")

    return edit


def dropping_not_null(name: str) -> Edit:
    return _dropping(name, "not null")


def setting_default(name: str, default: str | None) -> Edit:
    def edit(sql: str) -> str:
        return _with_clause(sql, parse(sql).column(name), "default", f"DEFAULT {default}", ("collate",))

    return _dropping(name, "default") if default is None else edit


def changing_type(name: str, type_: str, collation: str | None) -> Edit:
    def edit(sql: str) -> str:
        column = parse(sql).column(name)
        space = (
            "" if column.type_start > column.start + len(column.name) and sql[column.type_start - 1].isspace() else " "
        )
        sql = _replaced(sql, [(column.type_start, column.type_end, f"{space}{type_}")])
        if collation is None:
            return _dropping(name, "collate")(sql)
        return _with_clause(sql, parse(sql).column(name), "collate", f"COLLATE {quoted(collation)}", ())

    return edit


def is_of_column_alone(text: TableText, clause: Clause, column: str) -> bool:
    """Tell whether a constraint of the table names this column and no other."""
    if clause.kind == "check":
        named = {folded(token.name) for token in tokens(clause.expression or "") if token.kind in ("word", "quoted")}
        return {folded(one.name) for one in text.columns} & named == {folded(column)}
    return [folded(one) for one in clause.columns] == [folded(column)]


def _dropping(name: str, kind: str) -> Edit:
    def edit(sql: str) -> str:
        clauses = [one for one in parse(sql).column(name).clauses if one.kind == kind]
        return _replaced(sql, [(*_with_space(sql, one), "") for one in clauses])

    return edit


def _with_clause(sql: str, column: ColumnText, kind: str, wanted: str, after: Sequence[str]) -> str:
    there = column.clause(kind)
    if there is not None:
        return _replaced(sql, [(there.start, there.end, wanted)])
    return _inserted(sql, _place_after(column, *after), f" {wanted}")


def _place_after(column: ColumnText, *kinds: str) -> int:
    """Return the place after the type and the clauses of these kinds, where SQLAlchemy writes what comes next."""
    return max([column.type_end, *(one.end for one in column.clauses if one.kind in kinds)])


def _inserted(sql: str, place: int, what: str) -> str:
    return sql[:place] + what + sql[place:]


def _replaced(sql: str, edits: Sequence[tuple[int, int, str]]) -> str:
    for start, end, what in sorted(edits, reverse=True):
        sql = sql[:start] + what + sql[end:]
    return sql


def _with_space(sql: str, clause: Clause) -> tuple[int, int]:
    end = clause.end + len(NOTE) if sql.startswith(NOTE, clause.end) else clause.end
    return len(sql[: clause.start].rstrip()), end


def _with_comma(sql: str, start: int, end: int) -> tuple[int, int]:
    """Widen a place to the comma before it, or for the first one to what comes next."""
    before = [token for token in tokens(sql) if token.end <= start][-1]
    if before.text == ",":
        return before.start, end
    if before.text != "(":
        return before.end, end
    behind = [token for token in tokens(sql) if token.start >= end]
    return start, behind[1].start
