"""The same revisions, rehearsed on a copy with the same rows: what a team sees before it runs them in production."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from database import engine_for
from load import Places, load
from show import WIDTH, dim, duration, heading, say
from stage import alembic_for

from safeops.errors import SafeOpsError
from safeops.rehearse import Rehearsal, rehearse
from safeops.rehearse.reports.html import html

COPY = "cities_rehearsal"


def rehearsed(url: str, places: Places) -> dict[str, bool]:
    """Rehearses all revisions next to a temporary database, and returns what is claimed, and whether it was found true."""
    heading("$ safeops rehearse --as-is --into URL")
    with _copy_beside(sa.make_url(url)) as copy:
        load(engine_for(copy), places)
        done = rehearse(alembic_for(), into=copy, as_is=True)
    _tell(done)
    _name_page(done)
    back, traffic = done.back, done.traffic
    return {
        "the rehearsal lost no write": traffic is not None and traffic.writes > 0 and not _lost(done),
        "its downgrade led back to the same schema and rows": back is not None and back.same_schema and back.same_rows,
    }


def advise_rehearsal() -> None:
    """Names the command for a server on which no second database is created unasked."""
    heading("A rehearsal needs a second, empty database:")
    say("  safeops -c examples/cities/alembic.ini rehearse --into URL --rows 200000")


@contextmanager
def _copy_beside(url: sa.URL) -> Iterator[str]:
    """The URL of an empty database next to a temporary one, with which it is removed."""
    if url.get_backend_name() == "sqlite":
        yield str(url.set(database=str(Path(url.database or "").with_name(f"{COPY}.sqlite"))))
        return
    with engine_for(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {COPY}")
    yield url.set(database=COPY).render_as_string(hide_password=False)


def _lost(done: Rehearsal) -> bool:
    return any(comparison.lost for comparison in done.compared.values())


def _tell(done: Rehearsal) -> None:
    _say(done.summary)
    if not done.verdict.ok:
        _say(
            "Nineteen revisions are more than one release: the application of the first day still reads countries and "
            "their capitals, which the last of them take away. A team deploys in between, and rehearses each release."
        )
    if done.traffic is not None:
        seconds = sum(one.seconds for one in done.revisions)
        requests = f"{done.traffic.writes:,} writes and {done.traffic.reads:,} reads"
        say(dim(f"  {len(done.revisions)} revisions, {duration(seconds)}; {requests} in all"))


def _say(text: str) -> None:
    say(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False))


def _name_page(done: Rehearsal) -> None:
    try:
        page = html(done.as_json())
    except SafeOpsError as error:
        say(f"  Its report is not drawn: {error.problem} {error.remedy}\n    {error.code}")
        return
    with tempfile.NamedTemporaryFile("w", prefix="cities-", suffix=".html", delete=False, encoding="utf-8") as file:
        file.write(page)
    say(f"  Its report, for a browser: {file.name}")
