"""The row counts of the live database, committed next to the revisions: names and counts, no values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alembic.config import Config

from safeops.errors import InvalidArgument
from safeops.naming import Name

VERSION = 1
FILE = "stats.json"


@dataclass(frozen=True)
class Stats:
    """The tables of a database.

    Args:
        rows: How many rows each has, by its name as "schema.table"; without a schema it is in the default one.
    """

    rows: Mapping[str, int] = field(default_factory=dict)

    def of(self, table: Name, home: str | None) -> int | None:
        """Return how many rows a table has; None if it is not listed.

        Args:
            table: The table.
            home: The default schema.
        """
        full = Name(table.name, table.schema or home)
        return self.rows.get(str(full), self.rows.get(str(full.at(home))))


def stats_file(config: Config, given: str | Path | None = None) -> Path | None:
    """Return the file to read: the one that is given, or ``stats.json`` next to the configuration if there is one."""
    if given is not None:
        return Path(given)
    found = default_file(config)
    return found if found.is_file() else None


def default_file(config: Config) -> Path:
    """Return the default path of the file."""
    return (Path(config.config_file_name).parent if config.config_file_name else Path()) / FILE


def read_stats(file: Path) -> Stats:
    """Read a file, or raise InvalidArgument if it has no such content."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Stats({str(name): int(rows) for name, rows in found["tables"].items()})
    except FileNotFoundError:
        problem = f"There is no file {file}."
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{file} is not a file of row counts from safeops: {type(error).__name__}."
    raise InvalidArgument(
        problem,
        remedy="Write it from the live database, which is only read:",
        code=f"safeops review --url URL --stats {file} --write-stats",
    )


def write_stats(file: Path, stats: Stats) -> None:
    """Write a file, the tables in order."""
    content = {"version": VERSION, "tables": dict(sorted(stats.rows.items()))}
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
