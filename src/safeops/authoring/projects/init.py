"""Sets up a new Alembic project, or fits an existing one out."""

from __future__ import annotations

import hashlib
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from alembic.config import Config

from safeops.authoring.projects.env_advice import CHECKLIST, Advice, advise, advise_ini
from safeops.authoring.projects.env_trial import try_env
from safeops.authoring.projects.files import Say, Wanted, difference, normalised, put, rendered, template_text
from safeops.authoring.projects.guide import guide, is_untouched_guide
from safeops.authoring.projects.project import Project, shown
from safeops.errors import InvalidArgument

GUIDE = "MIGRATIONS.md"


def init(project: Project, *, force: bool = False, say: Say = print) -> bool:
    """Give a project its configuration, env.py, script.py.mako, versions/ and the guide, as far as they are missing.

    Running it again: what stands as wanted is left alone.

    Args:
        project: The project, or the place for a new one.
        force: Replace script.py.mako and MIGRATIONS.md also where somebody changed them.
        say: What is done is told to this, a line or a few at a time.

    Returns:
        False where a file that somebody changed was left as it is; the difference was shown.
    """
    _check_configuration(project)
    is_new = not project.env.exists()
    results = [put(wanted, force=force, say=say) for wanted in _wanted(project)]
    if is_new:
        _make_versions(project)
    _review_env(project, say=say)
    if is_new:
        say(_next_steps(project))
    return all(results)


def _check_configuration(project: Project) -> None:
    if project.directory.exists() and not project.directory.is_dir():
        raise InvalidArgument(
            f"{shown(project.directory)} is a file, and the migrations were to go into a folder of that name.",
            remedy="Name another folder:",
            code="python -m safeops init DIRECTORY",
        )
    if not project.configured and project.ini.exists():
        raise InvalidArgument(
            f"{shown(project.ini)} stands here already, but does not say where the migrations are.",
            remedy=f"Say it in its section [{project.config.config_ini_section}], and run init again:",
            code=f"script_location = %(here)s/{project.directory.as_posix()}",
        )


def _wanted(project: Project) -> Iterator[Wanted]:
    """The files in the order in which they are to be written: the guide tells of the configuration before it."""
    if not project.configured or not (project.ini.exists() or project.env.exists()):
        yield Wanted(project.ini, _configuration(project))
    yield Wanted(project.env, rendered("env.py.template"))
    yield Wanted(project.directory / "script.py.mako", _script_template(project), _is_shipped_by_alembic)
    yield Wanted(project.directory / GUIDE, guide(project), is_untouched_guide)


def _configuration(project: Project) -> str:
    location = os.path.relpath(project.directory.absolute(), project.ini.absolute().parent)
    text = rendered(
        "alembic.ini.template",
        section=project.config.config_ini_section,
        location=Path(location).as_posix().replace("%", "%%"),
    )
    # What pyproject.toml says would be overruled here.
    return re.sub("script_location.*?(?=# The database)", "", text, flags=re.DOTALL) if project.configured else text


def _script_template(project: Project) -> str:
    return template_text("multidb.script.py.mako" if project.is_multidb else "script.py.mako")


def _is_shipped_by_alembic(text: str) -> bool:
    digest = hashlib.sha256(normalised(text).encode()).hexdigest()
    known = {line.split()[0] for line in template_text("shipped_by_alembic.txt").splitlines()}
    return digest in known or any(
        normalised(template.read_text(encoding="utf-8")) == normalised(text)
        for template in Path(_alembic_templates()).glob("*/script.py.mako")
    )


def _alembic_templates() -> str:
    return Config().get_template_directory()


def _make_versions(project: Project) -> None:
    if project.config.get_alembic_option("version_locations") is None:
        (project.directory / "versions").mkdir(exist_ok=True)


def _review_env(project: Project, *, say: Say) -> None:
    """Run env.py, and show the lines that should change in it and in the ini file."""
    text = project.env.read_text(encoding="utf-8")
    advice = _advice(text)
    failure = try_env(project, *dict.fromkeys((text, advice.text)))
    name = shown(project.env)
    if failure is not None and failure.startswith("0: "):
        say(f"\n{name} could not be run offline here:")
        say(textwrap.fill(failure[3:], 78, initial_indent="  ", subsequent_indent="  ", break_long_words=False))
        say("Run init again where the application is installed and configured.")
    else:
        say(f"\n{name} was run offline, without a database: it works.")
        if failure is not None:
            # What was worked out does not fit this file: leave it to its author.
            advice = Advice(text, (*advice.by_hand, CHECKLIST))
    if advice.text != text or advice.by_hand:
        _show(project, text, advice, say)


def _advice(text: str) -> Advice:
    try:
        return advise(text)
    except SyntaxError as error:
        return Advice(text, (f"It cannot be read: {error}", CHECKLIST))


def _show(project: Project, text: str, advice: Advice, say: Say) -> None:
    say(f"\n{shown(project.env)} is yours and was not changed. Helpers need these changes:\n")
    if advice.text != text:
        say(difference(text, advice.text, shown(project.env)))
    for number, remark in enumerate(advice.by_hand, 1):
        say(f"{number}. {remark}\n")
    if project.ini.is_file():
        ini = project.ini.read_text(encoding="utf-8")
        if advise_ini(ini) != ini:
            say("So that what safeops does is shown:\n")
            say(difference(ini, advise_ini(ini), shown(project.ini)))


def _next_steps(project: Project) -> str:
    return (
        f"\nNext:\n  1. Fill in sqlalchemy.url in {shown(project.ini)}."
        f"\n  2. Give target_metadata your models in {shown(project.env)}."
        f"\n  3. Read {shown(project.directory / GUIDE)}; the first revision:"
        f'\n     {project.alembic} revision --autogenerate -m "first tables"'
    )
