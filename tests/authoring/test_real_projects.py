"""`init` in the migrations of real projects, as their wheels have them: their own revisions keep working."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.authoring.commands import files_in, python

from safeops.cli import main

pytestmark = pytest.mark.whole
WHEELS = Path(
    os.environ.get("SAFEOPS_CI_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "safeops"
)


@dataclass(frozen=True)
class Real:
    """A project on PyPI.

    Args:
        release: The requirement for pip.
        root: The folder of the wheel in which its authors call Alembic.
        directory: Its migrations, below that.
        arguments: What `init` is given.
        template: What becomes of its script.py.mako: "wrote" or "replaced".
    """

    release: str
    root: str
    directory: str
    arguments: tuple[str, ...]
    template: str

    def __str__(self) -> str:
        return self.release


PROJECTS = [
    # Its template is Alembic's own.
    Real("optuna==5.0.0", "optuna/storages/_rdb", "alembic", (), "replaced"),
    # The wheel has no template, and its alembic.ini is in the folder of the migrations.
    Real("mlflow==3.18.0", ".", "mlflow/store/db_migrations", ("mlflow/store/db_migrations",), "wrote"),
    # No alembic.ini names this directory.
    Real("dagster==1.13.29", ".", "dagster/_core/storage/alembic", ("dagster/_core/storage/alembic",), "replaced"),
]

# What the revisions import of the application, whose dependencies are not here.
STAND_INS = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock

from sqlalchemy import text

APPLICATION = {"optuna", "mlflow", "dagster", "numpy"}


class Anything(MagicMock):
    is_clause_element = False

    def __clause_element__(self):
        return text("true")


class StandIn(ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, Finder, is_package=True) if name.partition(".")[0] in APPLICATION else None

    @staticmethod
    def create_module(spec):
        return StandIn(spec.name)

    @staticmethod
    def exec_module(module):
        pass


sys.meta_path.insert(0, Finder)
"""

CONFIG = """
import sys
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

config = Config(*sys.argv[2:])
config.set_main_option("script_location", sys.argv[1])
"""

HISTORY = CONFIG + "command.history(config)\nprint(ScriptDirectory.from_config(config).get_heads())\n"

REVISION = HISTORY + "command.revision(config, 'on top', rev_id='safeops1')\n"

ON_TOP = "command.history(config, 'safeops1:safeops1')\n"


def downloaded(release: str) -> Path:
    name = release.partition("==")[0]
    folder = WHEELS / "wheels"
    if not list(folder.glob(f"{name}-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--ignore-requires-python"]
        command += ["--only-binary=:all:", "-d", str(folder), release]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{release} could not be downloaded within 180 s")
        if done.returncode != 0:
            pytest.skip(f"{release} could not be downloaded: {done.stderr.strip().splitlines()[-1:]}")
    (wheel,) = folder.glob(f"{name}-*.whl")
    return wheel


def extract(real: Real, folder: Path) -> Path:
    """Unpack only the migrations, and the alembic.ini next to them."""
    root = folder / real.root
    wanted = (root / real.directory).relative_to(folder).as_posix()
    beside = (root / "alembic.ini").relative_to(folder).as_posix()
    with zipfile.ZipFile(downloaded(real.release)) as wheel:
        wheel.extractall(folder, [one for one in wheel.namelist() if one.startswith(f"{wanted}/") or one == beside])
    return root


@pytest.mark.parametrize("real", PROJECTS, ids=str)
def test_their_own_revisions_keep_working(
    real: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stand_ins").mkdir()
    (tmp_path / "stand_ins" / "sitecustomize.py").write_text(textwrap.dedent(STAND_INS))
    root = extract(real, tmp_path / "project")
    directory = root / real.directory
    inis = [str(path) for path in (root / "alembic.ini", directory / "alembic.ini") if path.exists()]

    def run(script: str) -> str:
        stand_ins = str(tmp_path / "stand_ins")
        return python(root, "-W", "ignore", "-c", script, str(directory), *inis[:1], PYTHONPATH=stand_ins)

    theirs, history = files_in(root), run(HISTORY)
    assert history.count("->") > 5
    monkeypatch.chdir(root)
    assert main(["init", *real.arguments]) == 0
    said = capsys.readouterr().out
    assert f"  {real.template:<9} {real.directory}/script.py.mako" in said
    # Without the application their env.py cannot be imported: this is reported, nothing else happens.
    assert "env.py could not be run offline:\n" in said
    assert "ModuleNotFoundError" in said
    changed = {name for name, text in files_in(root).items() if theirs.get(name) != text}
    assert changed == {f"{real.directory}/MIGRATIONS.md", f"{real.directory}/script.py.mako"}

    monkeypatch.setattr("safeops.authoring.init.try_env", lambda *_: None)
    assert main(["init", "--force", *real.arguments]) == 0
    after = run(REVISION + ON_TOP)
    assert after.startswith(history)
    assert "safeops1 (head), on top" in after
    (revision,) = directory.glob("versions/*safeops1*.py")
    compile(revision.read_text(), revision.name, "exec")
    assert "What: TODO" in revision.read_text()
