"""Runs an env.py without a database, to see whether it works."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from safeops.authoring.project import Project

TRIAL_SECONDS = 60
# Any database will do for an env.py that renders nothing; this one needs no driver.
_ANY_URL = "sqlite://"


class Failure(NamedTuple):
    """Which of several texts failed, and how: ``line 3: ModuleNotFoundError: ...``"""

    number: int
    text: str


def try_env(project: Project, *texts: str) -> Failure | None:
    """Run each text as the env.py of a project, as for ``--sql`` but with no revision; return what failed first."""
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "ini": str(project.ini),
            "toml": project.config.toml_file_name,
            "section": project.config.config_ini_section,
            "directory": str(project.directory.absolute()),
            "env": str(project.env.absolute()),
            "texts": texts,
            "folder": folder,
            "multidb": project.is_multidb,
            "x": getattr(project.config.cmd_opts, "x", None),
        }
        command = [sys.executable, "-W", "ignore", "-m", __name__]
        try:
            done = subprocess.run(
                command, input=json.dumps(given), capture_output=True, text=True, timeout=TRIAL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return Failure(0, f"It had not ended after {TRIAL_SECONDS} s.")
        answer = Path(folder) / "answer"
        if answer.exists():
            return Failure(*json.loads(answer.read_text(encoding="utf-8")))
        return None if done.returncode == 0 else Failure(0, done.stderr.strip()[-300:])


def _main() -> None:
    given = json.loads(sys.stdin.read())
    # `-m` puts the current folder first, which the command `alembic` does not.
    sys.path[:] = [os.path.abspath(entry) for entry in sys.path[1:]]
    event.listen(Engine, "do_connect", _refuse)
    here = os.getcwd()
    for number, text in enumerate(given["texts"]):
        os.chdir(here)
        try:
            _run(given, text)
        except BaseException as error:
            answer = json.dumps((number, _described(error, given["env"])))
            (Path(given["folder"]) / "answer").write_text(answer, encoding="utf-8")
            return


def _run(given: dict[str, Any], text: str) -> None:
    config = Config(
        os.path.abspath(given["ini"]),
        given["toml"],
        ini_section=given["section"],
        output_buffer=io.StringIO(),
        stdout=io.StringIO(),
        cmd_opts=Namespace(x=given["x"]),
    )
    _fill_in(config)
    config.set_main_option("script_location", given["directory"].replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    sys.path[:] = [os.path.abspath(entry) for entry in sys.path]
    code = compile(text, given["env"], "exec")
    with EnvironmentContext(config, script, fn=lambda *_: [], as_sql=True, destination_rev="head", tag=None):
        if given["multidb"]:
            # Such an env.py writes a file for each database into the current folder.
            os.chdir(given["folder"])
        exec(code, {"__name__": "env_py", "__file__": given["env"]})


def _fill_in(config: Config) -> None:
    for section in config.file_config.sections():
        url = config.file_config.get(section, "sqlalchemy.url", raw=True, fallback=None)
        if url is not None and (not url or url.startswith("driver://")):
            config.file_config.set(section, "sqlalchemy.url", _ANY_URL)


def _refuse(*_: Any) -> None:
    raise RuntimeError("it connects to the database, even offline (--sql)")


def _described(error: BaseException, env: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == env]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


if __name__ == "__main__":
    _main()
