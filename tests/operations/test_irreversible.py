"""irreversible(): a downgrade that cannot be written is refused, and the version stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.projects import Project, render
from tests.servers import Database

from safeops import InvalidArgument, Irreversible, irreversible


def test_the_version_stays_and_the_reason_is_reported(database: Database, tmp_path: Path) -> None:
    body = 'from safeops import irreversible\nirreversible("Rows were merged. ")'
    project = Project(tmp_path, database, {"r1": ("op.execute('CREATE TABLE t (a int)')", body)})
    project.upgrade()
    with pytest.raises(Irreversible, match=r"(?s)cannot be undone: Rows were merged\.\n.*S701") as raised:
        project.downgrade("base")
    assert "downgrade()" in str(raised.value)
    assert project.current() == ("r1",)


def test_no_script_pretends_to_be_a_downgrade() -> None:
    with pytest.raises(Irreversible, match="the backup"):
        render("sqlite://", lambda: irreversible("It is in the backup"))


@pytest.mark.parametrize("reason", ["", "  ", None, 7])
def test_a_reason_is_required(reason: object) -> None:
    with pytest.raises(InvalidArgument, match="gives no reason"):
        irreversible(reason)  # type: ignore[arg-type]
