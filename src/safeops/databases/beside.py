"""A connection of one's own beside the migration's: to watch it, or to hold the runner lock."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool, StaticPool

log = logging.getLogger("safeops")

Body = Callable[[Connection, threading.Event], None]


@contextmanager
def watching(connection: Connection, body: Body) -> Iterator[None]:
    """Run ``body`` in a thread, on a connection of its own, until the block ends.

    ``body`` gets that connection and an event that is set when the block has ended. Where no second connection is to be
    had the block runs without it: watching tells more, it is never needed for safety.
    """
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(connection, body, over), name="safeops-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _watch(connection: Connection, body: Body, over: threading.Event) -> None:
    try:
        if connection.dialect.is_async:
            asyncio.run(_watch_async(connection, body, over))
            return
        engine = connection.engine
        if isinstance(engine.pool, StaticPool):
            engine = create_engine(engine.url, poolclass=NullPool)
        with engine.connect() as own:
            body(own.execution_options(isolation_level="AUTOCOMMIT"), over)
    except Exception as error:
        log.debug("watching ended: %s", error)


async def _watch_async(connection: Connection, body: Body, over: threading.Event) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(connection.engine.url, poolclass=NullPool)

    def run(own: Any) -> None:
        body(own.execution_options(isolation_level="AUTOCOMMIT"), over)

    async with engine.connect() as own:
        await own.run_sync(run)
    await engine.dispose()
