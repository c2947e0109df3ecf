"""The guide: followed word for word in a fresh directory, every command of it works as written."""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.authoring.checks import assert_accepted
from tests.authoring.commands import MODELS, alembic, fill_in, revision, shell, stock
from tests.servers import Database

import safeops
from safeops import errors
from safeops.authoring.init import is_untouched_guide
from safeops.authoring.patterns import PATTERNS
from safeops.cli import main

NICKNAME = "    nickname: Mapped[str | None] = mapped_column(String(50))\n"
TOWN = "    town: Mapped[str | None] = mapped_column(Text)\n"
EMAIL_LOWER = "    email_lower: Mapped[str] = mapped_column(String(320), index=True)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one; env.py is not tried."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ALEMBIC_CONFIG", raising=False)
    monkeypatch.setattr("safeops.authoring.init.try_env", lambda *_: None)
    return folder


def guide(project: Path) -> str:
    return (project / "migrations" / "MIGRATIONS.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^ *```$", text)
    return [textwrap.dedent(block) for _, block in found]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def under_version_control(project: Path) -> None:
    """What a team has before the guide's first line: a repository, with a first revision in it."""
    (project / ".gitignore").write_text("*.sqlite*\n__pycache__\n")
    git(project.parent, "init", "--bare", "origin.git")
    git(project, "init")
    git(project, "config", "user.name", "Ada")
    git(project, "config", "user.email", "ada@example.org")
    git(project, "remote", "add", "origin", str(project.parent / "origin.git"))
    git(project, "add", ".")
    git(project, "commit", "-m", "First")
    git(project, "push", "-u", "origin", "HEAD")


@pytest.mark.whole
@pytest.mark.only("pg18", "sqlite")
def test_followed_word_for_word(project: Path, database: Database) -> None:
    assert main(["init"]) == 0
    fill_in(project, database.url.render_as_string(hide_password=False))
    assert main(["init"]) == 0
    text = guide(project)
    (by_hand,), (ci,) = blocks(text, "python"), blocks(text, "yaml")
    models = project / "models.py"
    alembic(project, "revision --autogenerate -m first")
    under_version_control(project)
    steps = steps_of(project, by_hand)
    for block in blocks(text, "bash"):
        next(steps)
        shell(project, block)
    assert next(steps, None) is None

    models.write_text(MODELS + NICKNAME + TOWN + EMAIL_LOWER)
    (lines,) = re.findall(r"(?m)^  run: \|\n((?:    .*\n)+)", ci)
    shown = shell(project, textwrap.dedent(lines))
    assert "No new upgrade operations detected." in shown


def steps_of(project: Path, by_hand: str) -> Iterator[str]:
    """Do what the text of the guide describes before each of its blocks."""
    models = project / "models.py"
    yield "commands"
    yield "start from the newest code"
    models.write_text(MODELS + NICKNAME)
    yield "let Alembic compare"
    (project / "test_it.py").write_text("def test_it() -> None:\n    assert True\n")
    yield "try it"
    yield "hand it in"
    yield "a pattern"
    yield "several deploys"
    written(project, by_hand)
    alembic(project, "upgrade head")
    both_on = alembic(project, "heads").split()[0]
    for name in ("here", "there"):
        revision(project, downgrade="pass", message=name, head=both_on, splice=True)
    yield "two heads"
    revision(project, downgrade="pass", message="after the merge")
    yield "production"
    yield "emergency"


def written(project: Path, code: str) -> None:
    """Write a revision whose functions are those of the guide."""
    file = revision(project, message="by hand")
    text = file.read_text()
    file.write_text(text[: text.index("def upgrade")] + code)


def test_every_name_exists(project: Path) -> None:
    main(["init"])
    text = guide(project)
    for code in blocks(text, "python"):
        compile(code, "MIGRATIONS.md", "exec")
        for imported in re.findall(r"(?m)^from safeops import (.*)$", code):
            assert set(imported.split(", ")) <= set(safeops.__all__)
    numbers = re.findall(r"`(\w+)` \[(S\d+)\]", text)
    assert len(numbers) >= 5
    for name, number in numbers:
        assert getattr(errors, name).number == number
    for name in re.findall(r"`([a-z]\w*)(?:\([^`]*\))?`", text):
        if "_" in name or name in ("backfill", "irreversible"):
            assert hasattr(safeops, name), name


def test_each_pattern_is_listed_with_its_arguments(project: Path) -> None:
    main(["init"])
    rows = re.findall(r"(?m)^\| [^|]+ \| `([\w-]+)` \| (.+) \|$", guide(project))
    told = {name: set(re.findall(r"`(\w+)=`", arguments)) for name, arguments in rows}
    assert told == {name: {one.name for one in pattern.required} for name, pattern in PATTERNS.items()}


@pytest.mark.only("sqlite")
def test_the_commands_in_the_text_work(project: Path, database: Database) -> None:
    main(["init"])
    fill_in(project, database.url.render_as_string())
    revision(project, downgrade="pass", rev_id="r1")
    inline = dict.fromkeys(re.findall(r"`(alembic [^`]+|(?:python -m )?safeops [^`]+)`", guide(project)))
    for command in inline:
        words = command.replace("REVISION", "r1")
        if words.startswith("alembic"):
            alembic(project, words.removeprefix("alembic "))
        else:
            # There is no terminal for a prompt.
            yes = ["--yes"] if "rollback" in words else []
            assert main([*words.split("safeops ")[1].split(), *yes]) == 0
    assert "alembic upgrade head --sql" in inline
    assert "python -m safeops init" in inline


def test_it_is_two_pages(project: Path) -> None:
    main(["init"])
    lines = guide(project).splitlines()
    assert len(lines) <= 190
    assert max(map(len, lines)) <= 125


def test_its_code_is_laid_out_as_ruff_does(project: Path) -> None:
    main(["init"])
    codes = [project / f"block{number}.py" for number, _ in enumerate(blocks(guide(project), "python"))]
    for path, code in zip(codes, blocks(guide(project), "python"), strict=True):
        path.write_text(code)
    assert_accepted(codes)


def test_it_is_printed_for_the_project_or_for_any(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide"]) == 0
    generic = capsys.readouterr().out
    main(["init"])
    capsys.readouterr()
    assert main(["guide"]) == 0
    assert capsys.readouterr().out == guide(project) == generic
    assert not (project / "MIGRATIONS.md").exists()


@pytest.mark.parametrize(
    ("lock", "runner"),
    [("poetry.lock", "poetry run "), ("uv.lock", "uv run "), ("pdm.lock", "pdm run "), ("x.lock", "")],
)
def test_commands_are_the_teams(project: Path, lock: str, runner: str) -> None:
    (project / lock).touch()
    (project / "backend").mkdir()
    main(["-c", "backend/alembic.ini", "init", "backend/migrations"])
    text = (project / "backend" / "migrations" / "MIGRATIONS.md").read_text()
    assert f"\n{runner}alembic -c backend/alembic.ini upgrade head" in text
    assert f"\n   {runner}pytest\n" in text
    assert "\n   git add backend/migrations\n" in text


def test_the_guide_describes_the_env_py_of_the_team(project: Path) -> None:
    stock(project)
    main(["init"])
    assert "DATABASE_URL" not in guide(project)
    assert "They use the database that `migrations/env.py` chooses." in guide(project)


CHANGES: list[tuple[Callable[[str], str], bool]] = [
    (lambda text: text, True),
    (lambda text: text.replace("\n", "\r\n"), True),
    (lambda text: text.replace("# Migrations", "# Our migrations"), False),
    (lambda text: text + "\nMore.\n", False),
    (lambda text: "", False),
]


@pytest.mark.parametrize(("change", "untouched"), CHANGES)
def test_a_change_is_noticed(project: Path, change: Callable[[str], str], untouched: bool) -> None:
    main(["init"])
    assert is_untouched_guide(change(guide(project))) is untouched
