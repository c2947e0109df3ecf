"""A new revision file: valid, typed and laid out for any content, and without a downgrade that passes silently."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import Script
from alembic.util import CommandError
from tests.authoring.checks import assert_accepted
from tests.authoring.revisions import Refused, Revisions

import safeops
from safeops.authoring.descriptions import said_of
from safeops.authoring.page import import_lines
from safeops.autogenerate import safe_operations

MESSAGES = (
    "add a column",
    '"quoted" at both "ends"',
    'three """ quotes, and four """" of them',
    "a \\ backslash, \\n no newline, \\N{DASH} and \\",
    "${x} <%! import os %> % for x in y: ## not a comment",
    "100 % of {braces} %(here)s",
    "größer, 表 and \U0001f600",
    "'''",
    "two\n\nlines and \\",
)
MODELS = sa.MetaData()
sa.Table("teams", MODELS, sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.String(50)))


@pytest.fixture
def project(tmp_path: Path) -> Revisions:
    return Revisions(tmp_path, f"sqlite:///{tmp_path}/data.sqlite")


# Files of every kind --------------------------------------------------------------------------------------------


@pytest.fixture
def every_kind(project: Revisions) -> Revisions:
    for message in MESSAGES:
        project.written(message=message)
    first = _revision(project, "first")
    labelled = _revision(project, "a branch", head=first.revision, splice=True, branch_label="side")
    _revision(project, "main", head=first.revision, splice=True)
    needing = _revision(project, "depends", head=labelled.revision, depends_on=[first.revision])
    _revision(project, "depends on two", head=needing.revision, depends_on=[first.revision, labelled.revision])
    long = [_revision(project, "x", head=first.revision, splice=True, rev_id=f"{n}" * 32).revision for n in range(3)]
    command.merge(project.config, long, message="three ids that no line holds")
    command.merge(project.config, "heads", message="join them")
    return project


def _revision(project: Revisions, message: str, **options: Any) -> Script:
    made = command.revision(project.config, message, **options)
    assert isinstance(made, Script)
    return made


def test_a_file_of_every_kind_passes_the_checks_of_a_project(
    every_kind: Revisions, several: Revisions, request: pytest.FixtureRequest
) -> None:
    several.written()
    several.written(*_x("pattern=index", "table=users", "columns=email", "engine=two"))
    assert_accepted(every_kind.files | several.files, cache=request.config.cache.mkdir("mypy-of-revisions"))


def test_a_message_is_in_the_docstring_as_it_was_typed(project: Revisions) -> None:
    for message in MESSAGES:
        document = ast.get_docstring(ast.parse(project.written(message=message).read_text("utf-8")), clean=False)
        assert document and document.startswith(f"{message}\n\nRevision ID: ")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("tab\tand \x1b control", "tab and   control"),
        ("trailing  \nspace", "trailing\nspace"),
        ("\udcff!", " !".strip()),
    ],
)
def test_what_cannot_be_shown_is_left_out_of_a_message(project: Revisions, message: str, shown: str) -> None:
    file = project.written(message=message)
    assert (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").startswith(f"{shown}\n\n")
    assert_accepted([file])


def test_a_reviewer_finds_what_to_fill_in(project: Revisions) -> None:
    text = project.written().read_text()
    assert re.findall(r"^(What|Why it is safe|Phase|Roll back): TODO ", text, re.MULTILINE) == [
        "What",
        "Why it is safe",
        "Phase",
        "Roll back",
    ]


def test_every_helper_and_phase_has_words_for_the_reviewer() -> None:
    verbs = r"(add|alter|backfill$|create|drop|enforce|forget|irreversible|relax|restore|set_|validate)"
    wanted = {name for name in safeops.__all__ if re.match(verbs, name)} - {"drop_archives"}
    for recipe in (safeops.ColumnRename, safeops.TableRename, safeops.TypeChange):
        phases = [name for name, _ in inspect.getmembers(recipe, inspect.isfunction) if not name.startswith("_")]
        wanted |= {f"{recipe.__name__}.{phase}" for phase in phases}
    assert not {name for name in wanted if said_of(name) is None}


# Downgrades -----------------------------------------------------------------------------------------------------


def test_a_downgrade_that_is_not_written_fails_and_leaves_the_version(project: Revisions) -> None:
    project.written()
    project.upgrade()
    before = project.current()
    # The real command: what counts is what a deploy sees.
    alembic = [sys.executable, "-m", "alembic", "-c", str(project.folder / "alembic.ini"), "downgrade", "-1"]
    failed = subprocess.run(alembic, capture_output=True, text=True)
    assert failed.returncode != 0
    assert "This downgrade is not written yet. Write the inverse of upgrade()" in failed.stderr
    assert before and project.current() == before


def test_a_merge_has_nothing_to_do_and_passes_both_ways(project: Revisions) -> None:
    first = _revision(project, "first")
    left = _revision(project, "left")
    right = _revision(project, "right", head=first.revision, splice=True)
    merged = command.merge(project.config, "heads", message="join")
    assert isinstance(merged, Script) and "TODO" not in Path(merged.path).read_text()
    (told,) = re.findall("Roll back: alembic downgrade (\\w+) ", Path(merged.path).read_text())
    project.upgrade()
    project.downgrade(told)
    assert project.current() == {left.revision, right.revision}


def test_if_autogenerate_finds_nothing_the_downgrade_is_still_to_be_written(project: Revisions) -> None:
    text = _autogenerated(project, sa.MetaData())
    assert "    # ### commands auto generated by Alembic" in text
    assert text.count("NotImplementedError") == 1 and "What: TODO" in text


# Autogenerate ---------------------------------------------------------------------------------------------------


def _autogenerated(project: Revisions, models: sa.MetaData, **configure: Any) -> str:
    project.configure = {"target_metadata": models, **configure}
    made = command.revision(project.config, "change", autogenerate=True)
    assert isinstance(made, Script)
    return Path(made.path).read_text()


def test_autogenerate_explains_to_the_reviewer_what_it_does(project: Revisions) -> None:
    text = _autogenerated(project, MODELS, process_revision_directives=safe_operations)
    assert "What: Creates table teams." in text
    assert "Why it is safe: A new table is not in use yet.\n" in text
    assert "Roll back: alembic downgrade -1 drops table teams" in text
    assert "from safeops import create_table_if_missing, drop_table_if_exists\n" in text
    project.upgrade()
    project.downgrade()
    assert_accepted(project.files)


def test_what_is_not_of_safeops_is_left_to_the_author(project: Revisions) -> None:
    text = _autogenerated(project, MODELS)
    assert "What: Calls op.create_table on teams." in text
    assert "TODO op.create_table is not a safeops helper" in text
    assert "import sqlalchemy as sa\nfrom alembic import op\n" in text
    assert_accepted(project.files)


def test_imports_of_the_projects_own_renderers_are_merged_and_sorted(project: Revisions) -> None:
    def render_item(kind: str, item: Any, context: Any) -> str | bool:
        if kind == "type" and isinstance(item, sa.String):
            context.imports |= {
                "from decimal import Decimal",
                "import json",
                "from collections import *",
                "from sqlalchemy import types as t, Text",
                "from sqlalchemy import String",
            }
            return "String(Decimal(50))"
        return False

    text = _autogenerated(project, MODELS, render_item=render_item)
    head = text[text.index("from __future__") : text.index("\nrevision: str")]
    assert head.splitlines() == [
        "from __future__ import annotations",
        "",
        "import json  # noqa: F401",
        "from collections import *  # noqa: F401",
        "from collections.abc import Sequence",
        "from decimal import Decimal",
        "",
        "import sqlalchemy as sa",
        "from alembic import op",
        "from sqlalchemy import String, Text  # noqa: F401",
        "from sqlalchemy import types as t  # noqa: F401",
    ]


def test_code_that_a_renderer_got_wrong_is_shown_to_the_author(project: Revisions) -> None:
    with pytest.raises(SyntaxError):
        _autogenerated(project, MODELS, render_item=lambda kind, item, context: "an error" if kind == "type" else False)
    (file,) = project.files
    assert 'sa.Column("id", an error' in file.read_text().replace("'", '"')


def test_a_plain_revision_may_run_env_py(project: Revisions) -> None:
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    text = project.written().read_text()
    assert "NotImplementedError" in text and "What: TODO" in text
    assert "What: Makes users.email NOT NULL." in project.pattern("not-null", table="users", column="email").read_text()


# Ids ------------------------------------------------------------------------------------------------------------


def test_an_id_that_the_version_table_cannot_hold_is_refused(project: Revisions) -> None:
    with pytest.raises(Refused, match=r"The revision id a{33} has 33 characters") as refused:
        project.run("revision", "-m", "x", "--rev-id", "a" * 33)
    assert "FAILED: The revision id" in str(refused.value) and "longest_revision_id=33" in str(refused.value)
    with pytest.raises(CommandError, match=r"(?s)version_num holds 32\..*No file was written"):
        command.revision(project.config, "x", rev_id="a" * 33)
    assert not project.files
    template = project.folder / "migrations/script.py.mako"
    template.write_text(template.read_text().replace("Page(context)", "Page(context, longest_revision_id=33)"))
    assert _revision(project, "x", rev_id="a" * 33)


# Several databases ----------------------------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Revisions:
    return Revisions(tmp_path / "several", f"sqlite:///{tmp_path}/several.sqlite", template="multidb.")


def test_each_database_has_its_own_functions(several: Revisions) -> None:
    module = several.module(several.written())
    for name in ("one", "two"):
        assert module.upgrade(name) is None
        with pytest.raises(NotImplementedError):
            module.downgrade(name)
    pattern = several.written(*_x("pattern=index", "table=users", "columns=email", "engine=two"))
    text = pattern.read_text()
    assert "def upgrade_one() -> None:\n    pass\n" in text and "def downgrade_one() -> None:\n    pass\n" in text
    assert "def upgrade_two() -> None:\n    create_index_if_missing(" in text


def test_an_option_sets_the_database_of_a_pattern(several: Revisions) -> None:
    with pytest.raises(Refused, match="add -x engine= one of one, two"):
        several.pattern("not-null", table="users", column="email")
    assert not several.files


def test_a_database_that_has_nothing_to_do_passes_both_ways(several: Revisions) -> None:
    text = _autogenerated(several, MODELS, upgrade_token="one_upgrades", downgrade_token="one_downgrades")
    assert "op.create_table(" in text and "NotImplementedError" not in text
    assert "def upgrade_two() -> None:\n    pass\n" in text and "def downgrade_two() -> None:\n    pass\n" in text


def _x(*values: str) -> list[str]:
    return [part for one in values for part in ("-x", one)]


def test_imports_are_sorted_as_by_isort_if_the_migrations_are_in_a_folder_named_alembic(tmp_path: Path) -> None:
    (tmp_path / "alembic").mkdir()
    (tmp_path / "shop.py").touch()
    asked = "import shop\nfrom alembic import op\nimport sqlalchemy as sa"
    text = import_lines("op.x(sa.y, shop.z)", asked, project=tmp_path)
    standard, installed, own = text.split("\n\n")
    assert standard == "from collections.abc import Sequence"
    assert installed == "import sqlalchemy as sa"
    assert own == "import shop\nfrom alembic import op"
