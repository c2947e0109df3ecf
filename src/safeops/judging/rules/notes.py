"""The rules whose findings are worth knowing, and never fail a review."""

from __future__ import annotations

from safeops.judging.finding import NOTE
from safeops.judging.rules.rule import Rule

NOTES = (
    Rule(
        "missing-index",
        "A foreign key without an index makes every DELETE scan the table",
        NOTE,
        catches="A new foreign key whose columns are not the first columns of an index.",
        why="Each DELETE of a referenced row, and each change of its key, scans the whole referencing table.",
        instead="Build the index together with the key: `index=True`.",
        bad='op.create_foreign_key("fk_orders_user", "orders", "users", ["user_id"], ["id"])',
        good=('create_foreign_key_if_missing("fk_orders_user", "orders", "users", ["user_id"], ["id"], index=True)'),
        undo='drop_constraint_if_exists("fk_orders_user", "orders", type_="foreignkey")',
    ),
    Rule(
        "json-type",
        "json has no equality operator: use jsonb",
        NOTE,
        catches="A new column of PostgreSQL's type `json`.",
        why=(
            "SELECT DISTINCT, GROUP BY and UNION over the table fail, because `json` has no equality operator. It is"
            " stored as text and parsed at each use."
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
        "missing-downgrade",
        "downgrade() is empty: a rollback leaves the schema unchanged",
        NOTE,
        catches="A `downgrade()` that does nothing.",
        why="A rollback changes the version but not the schema, so the recorded version is wrong.",
        instead=(
            'Write the inverse of each call. If there is none, write `irreversible("why")`. If nothing needs to be'
            " undone, write a comment that begins with `# Nothing to undo`."
        ),
    ),
    Rule(
        "lossy-downgrade",
        "downgrade() loses data: archive what you drop",
        NOTE,
        catches=(
            "A `downgrade()` that drops what `upgrade()` added, with the values written since, or that creates a"
            " dropped column or table again without its values."
        ),
        why="A rollback at night loses what the application has written since the deploy.",
        instead="Drop with `archive=True`, and restore with `restore_column` or `restore_table`.",
    ),
    Rule(
        "several-heads",
        "Multiple heads: alembic upgrade head fails",
        NOTE,
        catches="Several revisions with the same parent, usually because two branches were merged.",
        why="`alembic upgrade head` refuses to run, and the deploy fails.",
        instead="Run `safeops heads --merge`.",
    ),
    Rule(
        "unused-allow",
        "A safeops: allow comment accepts no finding",
        NOTE,
        catches="`# safeops: allow RULE -- reason` on a statement without a finding of that rule. Drops, renames and"
        " `lossy-downgrade` are not reported: `pytest --safeops` reads their comments too.",
        why="It would accept the next finding on that line unseen.",
        instead="Remove the comment.",
    ),
    Rule(
        "unknown-allow",
        "A safeops: allow comment names a rule that does not exist",
        NOTE,
        catches="`# safeops: allow RULE -- reason` with an unknown name.",
        why="It accepts nothing.",
        instead="Correct the name.",
    ),
    Rule(
        "allow-without-reason",
        "A safeops: allow comment has no reason",
        NOTE,
        catches="`# safeops: allow RULE` without a reason.",
        why="It accepts nothing: without a reason, the next reader cannot check whether it still holds.",
        instead="Add the reason: `# safeops: allow RULE -- the table has 40 rows`.",
    ),
)
