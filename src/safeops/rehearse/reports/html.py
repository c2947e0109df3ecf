"""A rehearsal as one HTML file, for reviewers, managers and change boards: it needs no JavaScript and no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mako.template import Template

from safeops.errors import SafeOpsError
from safeops.rehearse.reports.page import Page, shown
from safeops.rehearse.reports.statements import statement_tables
from safeops.rehearse.reports.tables import (
    errors_table,
    lost_table,
    production_table,
    requests_table,
    waits_table,
)
from safeops.rehearse.reports.timeline import Timeline, timeline_of

HERE = Path(__file__).parent


def check_installed() -> None:
    """Raise an error with the command to install what a report needs: to call before a rehearsal, which takes minutes."""
    if find_spec("matplotlib") is None:
        raise SafeOpsError(
            "A report needs matplotlib, which is not installed.",
            why="It draws the pictures of the report, and is not installed by default.",
            remedy="Install the extra:",
            code="pip install 'alembic-safeops[report]'",
        )


def html(rehearsal: Mapping[str, Any]) -> str:
    """Return the report.

    Args:
        rehearsal: What ``safeops rehearse --json`` prints. What is missing in it, the report states as not measured.

    Raises:
        SafeOpsError: matplotlib is not installed.
    """
    check_installed()
    up, down = (timeline_of(rehearsal, direction) for direction in ("up", "down"))
    template = Template(
        filename=str(HERE / "report.html.mako"),
        default_filters=["h"],
        strict_undefined=True,
        input_encoding="utf-8",
    )
    page: str = template.render_unicode(
        page=Page(rehearsal),
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        up=_pictures(up, rehearsal, "up"),
        down=_pictures(down, rehearsal, "down"),
        requests=shown(
            requests_table(rehearsal, up), waits_table(rehearsal), errors_table(rehearsal), lost_table(rehearsal)
        ),
        statements=list(statement_tables(rehearsal, "up")),
        downgrade=list(statement_tables(rehearsal, "down")),
        production=shown(production_table(rehearsal)),
    )
    return page


def _pictures(timeline: Timeline | None, rehearsal: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    if timeline is None:
        return None
    # It imports matplotlib, which takes as long as all of safeops.
    from safeops.rehearse.reports.picture import MOST_LANES, pictures

    drawn = pictures(timeline, (rehearsal.get("budgets") or {}).get("max_wait"), name)
    return {"svg": drawn, "left_out": max(0, len(timeline.lanes) - MOST_LANES)}
