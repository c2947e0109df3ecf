"""SQLite: values are those of the file; the driver prepares each statement, and waits for the file as long as it does."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from safeops.rehearse.traffic import client
from safeops.rehearse.traffic.client import Session


class Client(client.Client):
    """A connection to the file."""

    drivers = ("pysqlite",)
    marker = "?"
    begins = "BEGIN IMMEDIATE"
    effects = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower({name})"
    equals = "IS"

    def is_without_transaction(self, error: Exception) -> bool:
        return "no transaction is active" in str(error)

    def code_of(self, error: Exception) -> str:
        return str(getattr(error, "sqlite_errorname", ""))

    def cancel(self, session: Session) -> None:
        with suppress(Exception):
            driver: Any = session.driver_connection
            driver.interrupt()
