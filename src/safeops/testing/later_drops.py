"""Which later revision drops a column from which the tested one has filled another: that is when the difference is lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from safeops.databases.statements import names_in, words_of
from safeops.testing.touched import Touched

if TYPE_CHECKING:
    from safeops.testing.kit import Kit
    from safeops.testing.project import Revision

DROPS = re.compile(r"drop_column|drop\s+column|contract\(", re.I)


def drop_after(kit: Kit, revision: Revision, touched: Touched) -> Revision | None:
    """Return the first later revision that seems to drop a column from which a revision fills another one.

    Only its text is searched: whether it does, and whether a value is lost then, a run shows.
    """
    updates = [names_in(sql) for sql in touched.locked if "UPDATE" in words_of(sql)[:1]]
    sources = {
        table.name: {column for column in definition.columns if any({table.name, column} <= names for names in updates)}
        for table, definition in touched.tables.items()
    }
    revisions = kit.project.revisions()
    for later in revisions[revisions.index(revision) + 1 :] if any(sources.values()) else ():
        text = later.path.read_text(errors="replace")
        words = set(re.findall(r"\w+", text))
        if DROPS.search(text) and any(table in words and words & columns for table, columns in sources.items()):
            return later
    return None
