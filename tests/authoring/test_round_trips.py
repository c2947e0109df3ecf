"""Model change, autogenerate, upgrade, check, downgrade, upgrade: each change on each database."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import alembic
import pytest
from tests.authoring.changes import CHANGES, Change
from tests.authoring.workshop import Workshop, assert_kept, commands_in, insert, values
from tests.catalogue import assert_same, snapshot
from tests.projects import migrate
from tests.servers import ROOT, Database
from tests.whole import one_in

from safeops import UnsafeOperation, drop_archives

NewDatabase = Callable[[], Database]
CACHE = ROOT / ".mypy_cache"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that keeps each revision of the module under a separate name."""
    return tmp_path_factory.mktemp("written")


@pytest.mark.parametrize("kind", one_in(16, CHANGES), ids=lambda kind: kind.__name__)
def test_round_trip(kind: type[Change], new_database: NewDatabase, tmp_path: Path, written: Path) -> None:
    round_trip(kind(), new_database, tmp_path, written, {})


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("kind", one_in(3, CHANGES[::6]), ids=lambda kind: kind.__name__)
def test_round_trip_in_the_batch_mode(
    kind: type[Change], new_database: NewDatabase, tmp_path: Path, written: Path
) -> None:
    round_trip(kind(), new_database, tmp_path, written, {"render_as_batch": True})


def round_trip(
    change: Change, new_database: NewDatabase, folder: Path, written: Path, configure: dict[str, object]
) -> None:
    database = new_database()
    skip_where_it_makes_no_sense(change, database)
    shop = begun(change, database, folder, configure)
    schema, rows = state(change, database), values(database)

    file = shop.revise(change.models("after"), "second")
    keep(shop, change, written)
    for text in (*change.writes.get("all", ()), *change.writes.get(database.kind, ())):
        assert text in file.read_text()
    its_author_finishes(change, shop, file)
    shop.upgrade()
    assert_kept(rows, values(database), database.kind)
    go_through_the_phases(change, shop, file, written)
    shop.check()
    after = state(change, database)

    if database.kind in change.refused_back:
        refuses_until_assured("downgrade", shop.back_to_the_first, file)
    shop.back_to_the_first()
    assert_same(schema, state(change, database), "the schema after the downgrade")
    assert_same(str(rows), str(values(database)), "the rows after the downgrade")
    shop.upgrade()
    shop.check()
    assert_same(after, state(change, database), "the schema after the second upgrade")
    if database.kind not in change.unlike:
        is_as_the_models_make_it(change, shop, new_database())


def begun(change: Change, database: Database, folder: Path, configure: dict[str, object]) -> Workshop:
    """A project with its first revision, on a database with rows."""
    models = change.models("before")
    shop = Workshop(folder, database, {**change.configure, **configure})
    database.execute(*change.setup.get(database.kind, ()))
    shop.revise(models, "first")
    shop.upgrade()
    database.execute(*change.attached)
    shop.check()
    insert(database, models, change.rows)
    return shop


def its_author_finishes(change: Change, shop: Workshop, file: Path) -> None:
    if change.populate is not None:
        refuses_until_populated(change, shop, file)
    if shop.database.kind in change.refused:
        refuses_until_assured("upgrade", shop.upgrade, file)


def is_as_the_models_make_it(change: Change, shop: Workshop, twin: Database) -> None:
    if "archive=True" in shop.files[1].read_text():
        migrate(shop.database, lambda: drop_archives(older_than=0), revision=shop.current()[0])
    made = sorted_lines(state(change, shop.database))
    # What create_all() spells so MySQL would copy a table for.
    at_once = as_made_at_once(change, twin).replace("DEFAULT (now())", "DEFAULT CURRENT_TIMESTAMP")
    assert_same(sorted_lines(at_once), made, "the schema that the models make, and that of the revision")


def skip_where_it_makes_no_sense(change: Change, database: Database) -> None:
    if database.kind in change.skip:
        pytest.skip(change.skip[database.kind])
    if tuple(map(int, alembic.__version__.split(".")[:2])) < change.oldest:
        pytest.skip("this Alembic cannot do it")
    if change.needs is not None:
        pytest.importorskip(change.needs)


def state(change: Change, database: Database) -> str:
    text = re.sub(r",(?=\n)", "", snapshot(database))
    text = re.sub(change.stays.get(database.kind, "$^"), "", text)
    if database.kind == "mysql":
        text = re.sub(r"(?:\n  (?:UNIQUE )?KEY .*)+", lambda keys: "\n".join(sorted(keys[0].split("\n"))), text)
    return sorted_lines(text) if change.reordered else text


def sorted_lines(text: str) -> str:
    lines = [re.sub(r"DEFAULT '(\d+)'::\w+$", r"DEFAULT \1", line.strip()) for line in text.splitlines()]
    return "\n".join(sorted(lines))


def as_made_at_once(change: Change, twin: Database) -> str:
    """The schema that the models alone make."""
    twin.execute(*change.setup.get(twin.kind, ()))
    with twin.observer().begin() as connection:
        change.models("after").create_all(connection)
    twin.execute(*change.attached)
    return sorted_lines(state(change, twin))


def refuses_until_populated(change: Change, shop: Workshop, file: Path) -> None:
    """The revision as it was written fails, changes nothing, and shows what to write; then the author writes it."""
    before = state(change, shop.database), values(shop.database)
    with pytest.raises(Exception, match="populate") as caught:
        shop.upgrade()
    assert type(caught.value).__module__.startswith("safeops"), repr(caught.value)
    if not change.does_more:
        assert_same(
            before, (state(change, shop.database), values(shop.database)), "the unedited revision changed something"
        )
    assert change.populate is not None
    file.write_text(re.sub(r"populate=\.\.\.", f"populate={change.populate}", file.read_text()))


def refuses_until_assured(function: str, run: Callable[[], None], file: Path) -> None:
    """The revision announces that it will refuse, and refuses; then the author answers for it."""
    text = file.read_text()
    found = re.search(rf"(?<=def {function}\(\) -> None:\n)(?:    .*\n|\n(?=    ))+", text)
    assert found is not None
    assert "# This is refused" in found[0], found[0]
    with pytest.raises(UnsafeOperation, match=r"assured|add_required_column|TypeChange"):
        run()
    assured = '    with assured("nobody uses the table yet"):\n' + textwrap.indent(found[0], "    ")
    text = text.replace(found[0], assured)
    if "import assured" not in text:
        text = text.replace("from safeops import", "from safeops import assured\nfrom safeops import", 1)
    file.write_text(text)


def go_through_the_phases(change: Change, shop: Workshop, file: Path, written: Path) -> None:
    """Has the later revisions written by the commands in the comments, and runs each."""
    phases = list(change.phases.get(shop.database.kind, ()))
    lines = commands_in(file) if phases else []
    if phases:
        assert [re.search(r"phase=(\w+)", line)[1] for line in lines] == phases  # type: ignore[index]
    for line in lines:
        shop.revise_as_said(line)
        keep(shop, change, written)
        shop.upgrade()
    if shop.database.kind in change.later:
        assert re.search(r"# .*autogenerate finds it", file.read_text())
        shop.revise(message="the rest")
        shop.upgrade()


def keep(shop: Workshop, change: Change, written: Path) -> None:
    number = len(shop.files) - 1
    name = f"{shop.database.kind}_{type(change).__name__}_{shop.folder.name[-12:]}_{number}".lower()
    shutil.copy(shop.files[-1], written / f"{re.sub(r'[^a-z0-9_]', '_', name)}.py")


# --- what was written ----------------------------------------------------------------------------------------------


def run_tool(*arguments: object) -> None:
    if importlib.util.find_spec(str(arguments[0])) is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"CI must have {arguments[0]}")
        pytest.skip(f"no {arguments[0]}")
    assert any(Path(str(arguments[-1])).iterdir()), "nothing was written: run the tests above too"
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=arguments[-1], env=environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# What the tests above have had written. Functions of this module, as a worker runs all of these.


def test_ruff_finds_nothing_in_what_was_written(written: Path) -> None:
    run_tool("ruff", "check", "--isolated", "--extend-select", "I,UP,B,W", written)


def test_ruff_would_format_nothing_of_what_was_written(written: Path) -> None:
    run_tool("ruff", "format", "--isolated", "--diff", written)


@pytest.mark.whole
def test_mypy_agrees_with_what_was_written(written: Path) -> None:
    run_tool(
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        "--no-error-summary",
        f"--cache-dir={CACHE}",
        written,
    )
