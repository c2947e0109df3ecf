"""What each pattern writes: the body of ``upgrade()`` and its true inverse, for one phase."""

from __future__ import annotations

import re
from dataclasses import dataclass

from safeops.authoring.revisions.arguments import Expression, Values
from safeops.authoring.revisions.code import sql, written_call
from safeops.authoring.revisions.layout import literal
from safeops.naming import Code, fitting


@dataclass(frozen=True)
class Draft:
    """A revision as a pattern, or autogenerate, has it: code that is not laid out yet, and what a reviewer is told.

    Args:
        upgrade: The body of ``upgrade()``.
        downgrade: The body of ``downgrade()``.
        module: What stands before both.
        phase: Which of several deploys it is, and what comes next; "{next}" becomes the command for the next phase.
        roll_back: What has to be known beyond what ``downgrade()`` does.
        engine: The engine it is for, where there are several.
    """

    upgrade: str
    downgrade: str
    module: str = ""
    phase: str = "1 of 1."
    roll_back: str = ""
    engine: str | None = None


def add_column(given: Values) -> Draft:
    return Draft(
        written_call("add_column_if_missing", given.table, _column(given), schema=given.schema),
        written_call("drop_column_if_exists", given.table, given.column, schema=given.schema),
        phase=f"1 of 1. Deploy the application that uses {given.column} after it.",
        roll_back="What was written to the column is lost with it.",
    )


def required_column(given: Values) -> Draft:
    todo, value = "", given.populate or given.default
    if value is None:
        todo = '# TODO: put in place of ... what the rows that stand get, as sa.text("SQL") or a value.\n'
    upgrade = written_call(
        "add_required_column",
        given.table,
        _column(given, nullable=False),
        populate=Code("...") if value is None else sql(value),
        where=sql(given.where),
        schema=given.schema,
    )
    return Draft(
        todo + upgrade,
        written_call("drop_column_if_exists", given.table, given.column, schema=given.schema),
        phase=f"1 of 1. From its end on, an insert without {given.column} is refused: give it a server default, or say"
        " keep_filled=True until the application that writes it is deployed.",
        roll_back="What was written to the column is lost with it.",
    )


def backfill(given: Values) -> Draft:
    name = given.name or fitting("fill", given.table, given.column, given.revision, max_bytes=63)
    return Draft(
        written_call(
            "backfill",
            given.table,
            Code(f"{{{literal(given.column)}: {sql(given.value)}}}"),
            where=sql(given.where),
            key=given.key,
            name=Code("BACKFILL"),
            batch_size=given.batch_size,
            schema=given.schema,
        ),
        written_call("forget_backfill", Code("BACKFILL")),
        module=f"BACKFILL = {literal(name)}",
        roll_back="Running it again then fills what is empty by then.",
    )


def not_null(given: Values) -> Draft:
    return Draft(
        written_call("enforce_not_null", given.table, given.column, schema=given.schema),
        written_call("relax_not_null", given.table, given.column, schema=given.schema),
        phase=f"1 of 1. Deploy the application that always writes {given.column} before it.",
    )


def index(given: Values) -> Draft:
    name = given.name or _named("ix", given.table, *given.columns)
    upgrade = written_call(
        "create_index_if_missing",
        name,
        given.table,
        [_element(one) for one in given.columns],
        unique=given.unique or None,
        postgresql_using=given.using,
        postgresql_where=sql(given.where),
        sqlite_where=sql(given.where),
        schema=given.schema,
    )
    return Draft(upgrade, written_call("drop_index_if_exists", name, given.table, schema=given.schema))


def unique(given: Values) -> Draft:
    name = given.name or _named("uq", given.table, *given.columns)
    return Draft(
        written_call("create_unique_constraint_if_missing", name, given.table, given.columns, schema=given.schema),
        written_call("drop_constraint_if_exists", name, given.table, type_="unique", schema=given.schema),
        phase="1 of 1. Rows that are alike stop it, and are named: no application may write such rows any more.",
    )


def check(given: Values) -> Draft:
    plain = given.name or _named("ck", given.table, *re.findall(r"[^\W\d]\w*", given.condition)[:1])
    # A naming convention would write its own prefix before it.
    name = written_call("op.f", plain)
    return Draft(
        written_call("create_check_constraint_if_missing", name, given.table, given.condition, schema=given.schema),
        written_call("drop_constraint_if_exists", name, given.table, type_="check", schema=given.schema),
        phase="1 of 1. Rows that break it stop it, and are named: no application may write such rows any more.",
    )


def foreign_key(given: Values) -> Draft:
    schema, table, columns = given.to
    name = given.name or _named("fk", given.table, *given.columns, table)
    upgrade = written_call(
        "create_foreign_key_if_missing",
        name,
        given.table,
        table,
        given.columns,
        given.remote_cols or columns or ["id"],
        onupdate=given.onupdate,
        ondelete=given.ondelete,
        source_schema=given.schema,
        referent_schema=given.referent_schema or schema,
    )
    downgrade = written_call("drop_constraint_if_exists", name, given.table, type_="foreignkey", schema=given.schema)
    if not given.index:
        wants = (
            "# A delete in the other table looks for its rows here: without an index that begins\n"
            "# with these columns it reads the whole table. -x index=yes writes one.\n"
        )
        return Draft(wants + upgrade, downgrade, phase="1 of 1. Rows that refer to nothing stop it, and are named.")
    helper = index(Values(table=given.table, columns=given.columns, schema=given.schema))
    return Draft(f"{helper.upgrade}\n{upgrade}", f"{downgrade}\n{helper.downgrade}")


def enum_value(given: Values) -> Draft:
    upgrade = written_call(
        "add_enum_value_if_missing",
        given.enum,
        given.value,
        before=given.before,
        after=given.after,
        schema=given.schema,
    )
    return Draft(
        upgrade,
        "# Nothing to undo: no value can be taken out of a named type, and one that nobody\n"
        "# writes harms nothing; upgrade() then finds it there.\npass",
        phase="1 of 1. Deploy the application that writes the value after it.",
        roll_back="The value stays in the type; rows that have it stay as they are.",
    )


def drop_column(given: Values) -> Draft:
    return Draft(
        written_call("drop_column_if_exists", given.table, given.column, archive=True, schema=given.schema),
        written_call("restore_column", given.table, _column(given), schema=given.schema),
        phase=f"The last one. Deploy the application that no longer uses {given.column} before it.",
        roll_back="It finds the values until drop_archives() is called.",
    )


def drop_table(given: Values) -> Draft:
    return Draft(
        written_call("drop_table_if_exists", given.table, archive=True, schema=given.schema),
        written_call("restore_table", given.table, schema=given.schema),
        phase=f"The last one. Deploy the application that no longer uses {given.table} before it.",
        roll_back="It finds the rows until drop_archives() is called.",
    )


# Several deploys ------------------------------------------------------------------------------------------------


def rename_column_expand(given: Values) -> Draft:
    return _phase(_column_rename(given), "expand", f"1 of 2, expand. {_then('new', given.new)}")


def rename_column_contract(given: Values) -> Draft:
    return _phase(_column_rename(given), "contract", f"2 of 2, contract. {_no_longer(given.old)}")


def rename_table_expand(given: Values) -> Draft:
    return _phase(_table_rename(given), "expand", f"1 of 2, expand. {_then('new', given.new)}")


def rename_table_contract(given: Values) -> Draft:
    return _phase(_table_rename(given), "contract", f"2 of 2, contract. {_no_longer(given.old)}")


def type_change_expand(given: Values) -> Draft:
    return _phase(_type_change(given), "expand", "1 of 3, expand. The application goes on as it is. Next:\n{next}")


def type_change_switch(given: Values) -> Draft:
    text = (
        "2 of 3, switch. The application must take either type before it. Once nobody wants the old type back:\n{next}"
    )
    return _phase(_type_change(given), "switch", text)


def type_change_contract(given: Values) -> Draft:
    return _phase(
        _type_change(given), "contract", "3 of 3, contract. From here on the old type is filled anew to return."
    )


def _phase(change: str, phase: str, text: str) -> Draft:
    return Draft(f"change.{phase}()", f"change.undo_{phase}()", f"change = {change}", text)


def _then(which: str, name: str) -> str:
    return f"Then deploy the application that uses {name} alone. Once no old one runs:\n{{next}}"


def _no_longer(name: str) -> str:
    return f"Nothing that uses {name} may run any more."


def _column_rename(given: Values) -> str:
    return written_call("ColumnRename", given.table, given.old, given.new, schema=given.schema)


def _table_rename(given: Values) -> str:
    return written_call("TableRename", given.old, given.new, schema=given.schema)


def _type_change(given: Values) -> str:
    return written_call(
        "TypeChange",
        given.table,
        given.column,
        Code(given.type),
        using=given.using,
        reverse_using=given.reverse_using,
        schema=given.schema,
    )


# Parts of calls -------------------------------------------------------------------------------------------------


def _column(given: Values, nullable: bool | None = None) -> Code:
    default = sql(given.default)
    return written_call(
        "sa.Column",
        given.column,
        Code(given.type),
        nullable=nullable,
        server_default=default,
        comment=given.comment,
    )


def _element(column: str) -> str:
    return sql(column) or column if isinstance(column, Expression) else column


def _named(prefix: str, table: str, *rest: str) -> str:
    words = [word for one in (table, *rest) for word in re.findall(r"\w+", one)]
    return fitting(prefix, *words, max_bytes=63)
