"""The database before each revision, made once: as the revisions before it leave it, with and without sample rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.pool import NullPool

from safeops.errors import BackfillFunctionFailed, SafeOpsError
from safeops.planned import summary
from safeops.policy import settings
from safeops.runner.revisions import steps_between
from safeops.testing.failing import Untestable
from safeops.testing.filling import Tables, fill_samples, tables_in
from safeops.testing.places import Place
from safeops.testing.project import Project, Revision
from safeops.testing.running import Runner

OWN_ROWS = 'To make better rows, write the fixture "safeops_rows".'

REFUSED_VALUES = (1264, 1265, 1292, 1366, 1406, 1690)
"""The errors of MariaDB and MySQL about a value that is out of range, too long or malformed."""

OwnRows = Callable[[Connection, str], object]
"""Inserts rows of a team, given a connection in a transaction, and the revision that is tested."""
OlderTables = Callable[[Connection], object]
"""Creates the tables that are older than the first revision, given a connection in a transaction."""


@dataclass(frozen=True)
class Template:
    """The database before a revision.

    Args:
        bare: Without sample rows.
        filled: With sample rows; the same as ``bare`` if there are none.
        notes: Why rows are missing, in sentences.
    """

    bare: URL
    filled: URL
    notes: tuple[str, ...] = ()

    @property
    def has_rows(self) -> bool:
        return self.bare != self.filled


class Templates:
    """Makes the templates along the chain of revisions, and keeps the latest ones.

    Args:
        project: The project.
        place: Makes databases.
        own_rows: Makes rows of the team, before others are made for the tables that it leaves empty.
        older_tables: Creates the tables that are older than the first revision.
    """

    def __init__(
        self,
        project: Project,
        place: Place,
        own_rows: OwnRows | None = None,
        older_tables: OlderTables | None = None,
    ) -> None:
        self._project, self._place, self._own_rows, self._older_tables = project, place, own_rows, older_tables
        self._order = project.revisions()
        self._bare: OrderedDict[int, URL] = OrderedDict()
        self._kept: OrderedDict[int, Template] = OrderedDict()
        self._broken: dict[int, Exception] = {}

    def before(self, revision: Revision) -> Template:
        """Return the template of a revision, or raise Untestable if an earlier revision fails."""
        return self._at(self._order.index(revision))

    def after(self, revision: Revision) -> Template:
        """Return the database as a revision leaves it, or raise Untestable if it fails."""
        return self._at(self._order.index(revision) + 1)

    def fails_without_rows(self, revision: Revision) -> bool:
        """Return whether the upgrade of a revision was seen to fail on a database without sample rows."""
        return self._order.index(revision) in self._broken

    def notes_of(self, revision: Revision) -> tuple[str, ...]:
        """Return the notes of a revision; none if its template is not there."""
        template = self._kept.get(self._order.index(revision))
        return template.notes if template is not None else ()

    def _at(self, position: int) -> Template:
        if position not in self._kept:
            self._kept[position] = self._made(position)
            self._forget()
        self._kept.move_to_end(position)
        return self._kept[position]

    def close(self) -> None:
        """Drop the templates."""
        for url in {*self._bare.values(), *(one.filled for one in self._kept.values())}:
            self._place.drop(url)
        self._bare.clear()
        self._kept.clear()

    # The chain --------------------------------------------------------------------------------------------------

    def _bare_before(self, position: int) -> URL:
        """Return the database that has all revisions before a position, and no sample rows."""
        if position not in self._bare:
            earlier = [one for one in self._bare if one < position]
            first = max(earlier, default=0)
            url = self._place.clone(self._bare[first]) if earlier else self._place.create()
            try:
                if not earlier and self._older_tables is not None:
                    with sa.create_engine(url, poolclass=NullPool).begin() as connection:
                        self._older_tables(connection)
                if not earlier:
                    # Some create the schema of the version table on each connection: no revision is expected to drop it.
                    Runner.of(self._project, self._place, url).inspect(lambda _: None)
                self._upgrade(url, range(first, position))
            except BaseException:
                self._place.drop(url)
                raise
            self._bare[position] = url
        return self._bare[position]

    def _upgrade(self, url: URL, positions: Sequence[int]) -> None:
        for one in positions:
            revision = self._order[one]
            if one not in self._broken:
                try:
                    self._run(url, revision)
                except Exception as error:
                    self._broken[one] = error
            if one in self._broken:
                raise Untestable(
                    f"{revision}, which comes before, fails on an empty database: {summary(self._broken[one])}"
                ) from self._broken[one]

    def _run(self, url: URL, revision: Revision) -> None:
        script = self._project.script
        # No session waits here, and no application is in use.
        with settings(guard="off"):
            Runner.of(self._project, self._place, url).run(
                lambda heads, _: steps_between(script, revision.revision, heads), revision.revision
            )

    def _forget(self) -> None:
        """Drop the templates that were not used for longest; the chain is walked from the nearest one that is left."""
        while len(self._kept) > self._place.kept:
            position, old = self._kept.popitem(last=False)
            if old.has_rows:
                self._place.drop(old.filled)
            self._place.drop(self._bare.pop(position))
        passed = [one for one in self._bare if one not in self._kept][:-1]
        for position in passed[: max(0, len(self._bare) - self._place.kept)]:
            self._place.drop(self._bare.pop(position))

    # Rows -------------------------------------------------------------------------------------------------------

    def _made(self, position: int) -> Template:
        bare = self._bare_before(position)
        later = self._tables_after(position)
        if not tables_in(_engine(bare)):
            return Template(bare, bare)
        notes: list[str] = []
        for nulls in (True, False):
            filled, missing = self._filled(bare, position, later, nulls)
            error = self._error_with_rows(filled, position) if later is not None else None
            if error is None or (not nulls and not is_about_values(error)):
                return Template(bare, filled, (*notes, *missing))
            self._place.drop(filled)
            what = "NULLs in the sample rows" if nulls else "sample rows"
            notes = [f"without {what}, because with them the upgrade ends with: {summary(error)}. {OWN_ROWS}"]
        return Template(bare, bare, tuple(notes))

    def _filled(self, bare: URL, position: int, later: Tables | None, nulls: bool) -> tuple[URL, list[str]]:
        """Return a clone with rows, and why some are missing."""
        filled = self._place.clone(bare)
        try:
            engine = _engine(filled)
            wanted = self._fill_own(engine, position)
            return filled, fill_samples(engine, later or {}, nulls=nulls) if wanted else []
        except BaseException:
            self._place.drop(filled)
            raise

    def _tables_after(self, position: int) -> Tables | None:
        """Return the tables that the next revision leaves; None if there is none, or if it fails without rows too."""
        if position == len(self._order):
            return None
        try:
            url = self._bare_before(position + 1)
        except Untestable:
            return None
        return tables_in(_engine(url))

    def _fill_own(self, engine: Engine, position: int) -> bool:
        """Have the team make its rows; return whether it needs sample rows too."""
        if self._own_rows is None:
            return True

        def fill(connection: Connection) -> object:
            assert self._own_rows is not None
            return self._own_rows(connection, self._order[min(position, len(self._order) - 1)].revision)

        with engine.begin() as connection:
            return fill(connection) is not False

    def _error_with_rows(self, filled: URL, position: int) -> Exception | None:
        """Return the error of the upgrade with the sample rows, which no application wrote."""
        url = self._place.clone(filled)
        try:
            self._run(url, self._order[position])
        except Exception as error:
            return error
        finally:
            self._place.drop(url)
        return None


def _engine(url: URL) -> Engine:
    return sa.create_engine(url, poolclass=NullPool)


def is_about_values(error: BaseException) -> bool:
    """Return whether an error may come from values, not from a constraint that production could break too."""
    if isinstance(error, SafeOpsError):
        return isinstance(error, BackfillFunctionFailed)
    if not isinstance(error, DBAPIError):
        return True
    code = next(iter(getattr(error.orig, "args", ())), None)
    return isinstance(error, DataError) or code in REFUSED_VALUES
