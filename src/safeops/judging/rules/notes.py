"""The rules of what is worth knowing, and stops nobody."""

from __future__ import annotations

from safeops.judging.finding import NOTE
from safeops.judging.rules.rule import Rule

NOTES = (
    Rule(
        "missing-index",
        "A foreign key has no index",
        NOTE,
        catches="A new foreign key whose columns no index begins with.",
        why="Each DELETE and each change of a key in the other table reads all of this one.",
        instead="Have the helper build the index together with the key.",
        bad='op.create_foreign_key("fk_orders_user", "orders", "users", ["user_id"], ["id"])',
        good=('create_foreign_key_if_missing("fk_orders_user", "orders", "users", ["user_id"], ["id"], index=True)'),
        undo='drop_constraint_if_exists("fk_orders_user", "orders", type_="foreignkey")',
    ),
    Rule(
        "json-type",
        "A new column is json",
        NOTE,
        catches="A new column of PostgreSQL's type `json`.",
        why=(
            "It has no equality: SELECT DISTINCT, GROUP BY and UNION over the table fail. It is kept as text and"
            " parsed each time."
        ),
        instead="Use `jsonb`.",
        bad='op.add_column("users", sa.Column("settings", sa.JSON()))',
        good=(
            "from sqlalchemy.dialects import postgresql\n"
            "\n"
            'add_column_if_missing("users", sa.Column("settings", postgresql.JSONB()))'
        ),
        undo='drop_column_if_exists("users", "settings")',
    ),
    Rule(
        "cached-plan",
        "Prepared statements fail once",
        NOTE,
        catches="A new, dropped or changed column of a table that is read by `SELECT *`.",
        why=(
            'psycopg 3 prepares what it runs often. After the change such a statement fails once, with "cached plan'
            ' must not change result type".'
        ),
        instead="Name the columns, as SQLAlchemy does; have the application try again, or set `prepare_threshold=None`.",
    ),
    Rule(
        "missing-downgrade",
        "There is no way back",
        NOTE,
        catches="A `downgrade()` that does nothing.",
        why="A rollback of the deploy moves the version, but not the schema: it says something that is not so.",
        instead=(
            'Write the inverse of each call. Where there is none, `irreversible("why")`; where nothing is to be'
            " undone, a comment that begins with `# Nothing to undo`."
        ),
    ),
    Rule(
        "lossy-downgrade",
        "The way back loses data",
        NOTE,
        catches=(
            "A `downgrade()` that drops what has been written since, or creates again what was dropped without its"
            " values."
        ),
        why="A rollback in the middle of the night loses what the application has written meanwhile.",
        instead="Drop with `archive=True` and undo by `restore_column` or `restore_table`.",
    ),
    Rule(
        "several-heads",
        "Two revisions follow the same one",
        NOTE,
        catches="Revisions without an order between them, as after two branches were merged.",
        why="`alembic upgrade head` refuses, and the deploy with it.",
        instead="Run `safeops heads --merge`.",
    ),
    Rule(
        "unused-allow",
        "A comment accepts what is not there",
        NOTE,
        catches="`# safeops: allow RULE -- reason` on a statement that the rule has nothing to say of.",
        why="It would accept the next finding there, which nobody has looked at.",
        instead="Remove the comment.",
    ),
    Rule(
        "unknown-allow",
        "A comment accepts a rule that does not exist",
        NOTE,
        catches="`# safeops: allow RULE -- reason` with a name that no rule has.",
        why="It accepts nothing.",
        instead="Correct the name.",
    ),
    Rule(
        "allow-without-reason",
        "A comment accepts without saying why",
        NOTE,
        catches="`# safeops: allow RULE` without a reason.",
        why="The next reader cannot tell whether it still holds, so it accepts nothing.",
        instead="Say why: `# safeops: allow RULE -- the table has 40 rows`.",
    ),
)
