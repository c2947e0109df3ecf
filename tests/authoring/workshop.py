"""A project whose models change: revisions are written by autogenerate, by the real commands, and run."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory
from tests.catalogue import assert_same
from tests.projects import Project
from tests.servers import Database

import safeops.authoring
from safeops.autogenerate import safe_operations

_ENV = """
from alembic import context

config = context.config
with config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=config.attributes["target_metadata"],
        **config.attributes["configure"],
    )
    with context.begin_transaction():
        context.run_migrations()
"""
TEMPLATE = Path(safeops.authoring.__file__).parent / "templates/script.py.mako"
_COMMAND = re.compile(r"^ *#  +alembic (.*\brevision\b.*)$", re.MULTILINE)


class Workshop(Project):
    """A project with the template of safeops, on an env.py that knows `safe_operations` alone."""

    def __init__(self, folder: Path, database: Database, configure: Mapping[str, Any] | None = None) -> None:
        standard = {
            "process_revision_directives": safe_operations,
            "compare_type": True,
            "compare_server_default": True,
        }
        super().__init__(folder, database, configure={**standard, **(configure or {})})
        (folder / "migrations/script.py.mako").write_text(TEMPLATE.read_text())
        (folder / "migrations/env.py").write_text(_ENV)
        # One for all commands: a new engine compiles each statement again.
        self.engine = database.engine()
        self.models: sa.MetaData | None = None
        self.files: list[Path] = []

    @property
    def config(self) -> Config:
        config = super().config
        config.attributes.update(target_metadata=self.models, engine=self.engine)
        return config

    def revise(self, models: sa.MetaData | None = None, message: str = "change") -> Path:
        """`alembic revision --autogenerate`"""
        self.models = models or self.models
        made = command.revision(self.config, message, autogenerate=True)
        return self._written(made)

    def revise_as_said(self, line: str) -> Path:
        """Runs a command line of Alembic that a comment gives."""
        options = CommandLine().parser.parse_args(shlex.split(line))
        config = self.config
        config.cmd_opts = options
        function, positional, keywords = options.cmd
        function(
            config,
            *[getattr(options, one) for one in positional],
            **{one: getattr(options, one, None) for one in keywords},
        )
        head = ScriptDirectory.from_config(config).get_revision("head")
        return self._written(head)

    def back_to_the_first(self) -> None:
        """Downgrades all but the first revision."""
        self.downgrade(str(ScriptDirectory.from_config(self.config).get_base()))

    def check(self) -> None:
        """`alembic check`: raises if the models and the database differ."""
        command.check(self.config)

    def _written(self, script: Any) -> Path:
        file = Path(script.path)
        self.files.append(file)
        return file


def commands_in(file: Path) -> list[str]:
    """The commands that the comments of a revision announce, as one would copy them."""
    return _COMMAND.findall(file.read_text())


def insert(database: Database, models: sa.MetaData, rows: Mapping[str, Any]) -> None:
    with database.observer().begin() as connection:
        for table, several in rows.items():
            for row in several:
                connection.execute(
                    models.tables[table].insert().values({models.tables[table].c[k]: v for k, v in row.items()})
                )


def values(database: Database) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table as mappings, those of safeops and Alembic left out."""
    with database.observer().connect() as connection:
        inspector = sa.inspect(connection)
        schemas = [name for name in inspector.get_schema_names() if name != "information_schema"]
        if database.kind != "postgresql":
            schemas = [None]
        found = {}
        for schema in schemas:
            for name in inspector.get_table_names(schema):
                if not name.startswith(("safeops", "alembic_version")) and not str(schema).startswith("safeops"):
                    place = [schema, name] if schema else [name]
                    result = connection.execution_options(no_parameters=True).exec_driver_sql(
                        f"SELECT * FROM {database.quoted(*place)}"
                    )
                    key = name if schema in (None, "public") else f"{schema}.{name}"
                    found[key] = sorted((dict(sorted(row.items())) for row in result.mappings()), key=repr)
    return dict(sorted(found.items()))


def assert_kept(before: Mapping[str, Any], after: Mapping[str, Any], dialect: str) -> None:
    """The values of columns that still exist are unchanged."""
    for table, rows in before.items():
        if table in after and rows and after[table]:
            common = set(rows[0]) & set(after[table][0])
            old, new = (
                [{k: str(v) for k, v in row.items() if k in common} for row in each] for each in (rows, after[table])
            )
            assert_same(
                *(sorted(map(repr, map(sorted_items, each))) for each in (old, new)), f"rows of {table} on {dialect}"
            )
        elif table in after:
            assert len(rows) == len(after[table])


def sorted_items(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(row.items())
