"""Sets up a new Alembic project, or adds what an existing one lacks, and writes a guide for its team."""

from __future__ import annotations

import hashlib
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config

from safeops.authoring.env_file import CHECKLIST, Advice, advise, with_guard
from safeops.authoring.env_trial import try_env
from safeops.authoring.project import (
    Project,
    Say,
    WantedFile,
    difference,
    display_path,
    normalised,
    rendered,
    template_text,
    write_or_show,
)
from safeops.databases import database_class
from safeops.databases.base import Database
from safeops.databases.server import Abilities
from safeops.errors import InvalidArgument, UnsupportedOnDatabase

GUIDE = "MIGRATIONS.md"


def init(project: Project, *, force: bool = False, say: Say = print) -> bool:
    """Give a project its configuration, env.py, script.py.mako, versions/ and the guide, if they are missing.

    Running it again leaves files that are up to date unchanged.

    Args:
        project: The project, or the place for a new one.
        force: Replace script.py.mako and MIGRATIONS.md even if they were changed by hand.
        say: Shows what is done, a line or a few at a time.

    Returns:
        False if a file was changed by hand, and was therefore not replaced; the difference was shown.
    """
    _check_configuration(project)
    is_new = not project.env.exists()
    results = [write_or_show(wanted, force=force, say=say) for wanted in _wanted_files(project)]
    if is_new:
        _make_versions(project)
    _review_env(project, say=say)
    if is_new:
        say(_next_steps(project))
    return all(results)


def _check_configuration(project: Project) -> None:
    if project.directory.exists() and not project.directory.is_dir():
        raise InvalidArgument(
            f"{display_path(project.directory)} is a file; the migrations need a folder of that name.",
            remedy="Name another folder:",
            code="python -m safeops init DIRECTORY",
        )
    if not project.configured and project.ini.exists():
        raise InvalidArgument(
            f"{display_path(project.ini)} exists, but does not set the folder of the migrations.",
            remedy=f"Set it in section [{project.config.config_ini_section}], and run init again:",
            code=f"script_location = %(here)s/{project.directory.as_posix()}",
        )


def _wanted_files(project: Project) -> Iterator[WantedFile]:
    """Yield the files in the order in which they are written: the guide describes those before it."""
    if not project.configured or not (project.ini.exists() or project.env.exists()):
        yield WantedFile(project.ini, _configuration(project))
    yield WantedFile(project.env, with_guard(rendered("env.py.template")))
    template = template_text("multidb.script.py.mako" if project.is_multidb else "script.py.mako")
    yield WantedFile(project.directory / "script.py.mako", template, _is_shipped_by_alembic)
    yield WantedFile(project.directory / GUIDE, guide(project), is_untouched_guide)


def _configuration(project: Project) -> str:
    location = os.path.relpath(project.directory.absolute(), project.ini.absolute().parent)
    text = rendered(
        "alembic.ini.template",
        section=project.config.config_ini_section,
        location=Path(location).as_posix().replace("%", "%%"),
    )
    # It would overrule pyproject.toml.
    return re.sub("script_location.*?(?=# The database)", "", text, flags=re.DOTALL) if project.configured else text


def _is_shipped_by_alembic(text: str) -> bool:
    digest = hashlib.sha256(normalised(text).encode()).hexdigest()
    known = {line.split()[0] for line in template_text("shipped_by_alembic.txt").splitlines()}
    return digest in known or any(
        normalised(template.read_text(encoding="utf-8")) == normalised(text)
        for template in Path(Config().get_template_directory()).glob("*/script.py.mako")
    )


def _make_versions(project: Project) -> None:
    if project.config.get_alembic_option("version_locations") is None:
        (project.directory / "versions").mkdir(exist_ok=True)


def _review_env(project: Project, *, say: Say) -> None:
    """Run env.py, and show which of its lines, and which lines of the ini file, should change."""
    text = project.env.read_text(encoding="utf-8")
    advice = _advice(text)
    failure = try_env(project, *dict.fromkeys((text, advice.text)))
    name = display_path(project.env)
    if failure is not None and failure.number == 0:
        say(f"\n{name} could not be run offline:")
        say(textwrap.fill(failure.text, 78, initial_indent="  ", subsequent_indent="  ", break_long_words=False))
        say("Run init again in an environment in which the application is installed and configured.")
    else:
        say(f"\n{name} was run offline, without a database: it works.")
        if failure is not None:
            # The changes do not fit this file: leave them to its author.
            advice = Advice(text, (*advice.by_hand, CHECKLIST))
    if advice.text != text or advice.by_hand:
        _show(project, text, advice, say)


def _advice(text: str) -> Advice:
    try:
        return advise(text)
    except SyntaxError as error:
        return Advice(text, (f"It is not valid Python: {error}", CHECKLIST))


def _show(project: Project, text: str, advice: Advice, say: Say) -> None:
    say(f"\n{display_path(project.env)} was not changed. Helpers need these changes:\n")
    if advice.text != text:
        say(difference(text, advice.text, display_path(project.env)))
    for number, remark in enumerate(advice.by_hand, 1):
        say(f"{number}. {remark}\n")
    if project.ini.is_file():
        ini = project.ini.read_text(encoding="utf-8")
        if advise_ini(ini) != ini:
            say("To show the log lines of safeops:\n")
            say(difference(ini, advise_ini(ini), display_path(project.ini)))


def advise_ini(text: str) -> str:
    """Return an ini file that shows the lines of safeops' logger, if it sets up loggers by hand."""
    if "[logger_alembic]" not in text or "qualname = safeops" in text:
        return text
    text = re.sub(r"(?m)^(\[loggers\]\s*\nkeys *= *.*?) *$", r"\1,safeops", text, count=1)
    logger = "[logger_safeops]\nlevel = INFO\nhandlers =\nqualname = safeops\n\n"
    return text.replace("[logger_alembic]", f"{logger}[logger_alembic]", 1)


def _next_steps(project: Project) -> str:
    return (
        f"\nNext:\n  1. Fill in sqlalchemy.url in {display_path(project.ini)}."
        f"\n  2. Set target_metadata to the MetaData of your models in {display_path(project.env)}."
        f"\n  3. Read {display_path(project.directory / GUIDE)}, and write the first revision:"
        f'\n     {project.alembic} revision --autogenerate -m "first tables"'
    )


# The guide ------------------------------------------------------------------------------------------------------

_MARK = re.compile(r"\n*<!-- Written by safeops init; untouched: ([0-9a-f]{12}) -->$")

_CI_ENV = "\n  env:\n    DATABASE_URL: ...  # an empty database for this job, never production's"


def guide(project: Project) -> str:
    """Return the guide, with the project's own folder, commands and database in it."""
    reads_environment = "DATABASE_URL" in _env(project)
    body = rendered(
        "MIGRATIONS.md.template",
        directory=display_path(project.directory),
        env=display_path(project.env),
        alembic=project.alembic,
        safeops=project.safeops,
        runner=project.runner,
        database=_about(_database(project)),
        url_source=_url_source(project, reads_environment),
        ci_env=_CI_ENV if reads_environment else "",
    )
    return f"{normalised(body)}\n\n<!-- Written by safeops init; untouched: {_digest(body)} -->\n"


def is_untouched_guide(text: str) -> bool:
    """Return whether safeops wrote a guide, and it was not changed since."""
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
    """Return the kind of database of the URL; None if it is unknown."""
    try:
        url = sa.make_url(project.option("sqlalchemy.url") or "")
        return database_class(url.get_dialect()())
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, UnsupportedOnDatabase):
        return None


def _about(database: type[Database] | None) -> str:
    if database is None:
        return "This guide is for\neach database that safeops supports."
    if Abilities.class_of(database).builds_indexes_online:
        return f"{database.__name__} builds\nindexes and checks constraints while the application reads and writes."
    return f"{database.__name__} blocks\nother sessions while a table is rebuilt or an index is built."


def _url_source(project: Project, reads_environment: bool) -> str:
    if not reads_environment:
        return f"the database that `{display_path(project.env)}` chooses"
    source = "the database of the environment variable `DATABASE_URL`"
    return f"{source} or, if it is\nnot set, of `sqlalchemy.url` in `{display_path(project.ini)}`"
