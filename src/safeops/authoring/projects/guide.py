"""The guide to migrations, written for the project that it stands in."""

from __future__ import annotations

import hashlib
import re

import sqlalchemy as sa

from safeops.authoring.projects.files import normalised, rendered, template_text
from safeops.authoring.projects.project import Project, shown
from safeops.databases import database_class
from safeops.databases.base import Database
from safeops.errors import UnsupportedOnDatabase

_MARK = re.compile(r"\n*<!-- Written by safeops init; untouched: ([0-9a-f]{12}) -->$")

_CI_ENV = "\n  env:\n    DATABASE_URL: ...  # an empty database for this job, never production's"


def guide(project: Project) -> str:
    """Return the guide, with the project's own folder, commands and database in it."""
    reads_environment = "DATABASE_URL" in _env(project)
    body = rendered(
        "MIGRATIONS.md.template",
        directory=shown(project.directory),
        env=shown(project.env),
        alembic=project.alembic,
        safeops=project.safeops,
        runner=project.runner,
        database=_told(_database(project)),
        url_source=_url_source(project, reads_environment),
        ci_env=_CI_ENV if reads_environment else "",
    )
    return f"{normalised(body)}\n\n<!-- Written by safeops init; untouched: {_digest(body)} -->\n"


def is_untouched_guide(text: str) -> bool:
    """Whether a guide is one that safeops wrote and nobody changed."""
    text = normalised(text)
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def _digest(body: str) -> str:
    return hashlib.sha256(normalised(body).encode()).hexdigest()[:12]


def _env(project: Project) -> str:
    if project.env.exists():
        return project.env.read_text(encoding="utf-8")
    return template_text("env.py.template")


def _database(project: Project) -> type[Database] | None:
    """The database that the URL speaks of; None where that cannot be said."""
    try:
        url = sa.make_url(project.option("sqlalchemy.url") or "")
        return database_class(url.get_dialect()())
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, UnsupportedOnDatabase):
        return None


def _told(database: type[Database] | None) -> str:
    if database is None:
        return "It holds for each\ndatabase that safeops serves."
    if database.builds_indexes_online:
        return f"Its {database.__name__} builds\nindexes and checks constraints while the application reads and writes."
    return f"{database.__name__} lets\nothers wait while a table is rebuilt or an index is built."


def _url_source(project: Project, reads_environment: bool) -> str:
    if not reads_environment:
        return f"the database that `{shown(project.env)}` chooses"
    source = "the database of the environment variable `DATABASE_URL`"
    return f"{source}, or where that is\nnot set of `sqlalchemy.url` in `{shown(project.ini)}`"
