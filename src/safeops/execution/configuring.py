"""What env.py says of a whole run: ``configure()``."""

from __future__ import annotations

import configparser
import os
from typing import Any

from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from safeops.databases.connections import of_a_url
from safeops.errors import OutsideMigration
from safeops.execution import plain_operations
from safeops.execution.migration import SETTINGS, config_of_command
from safeops.policy import Settings


def configure(**settings: Any) -> None:
    """Set what the revisions of this run are allowed to do. Call it in env.py.

    Online, the lock timeout holds for helpers, and for what a revision sends itself by ``op``, a connection or a session.

    The settings belong to the run, that is to the ``Config`` of this Alembic command: they end with it.

    Args:
        **settings: Fields of ``Settings``: ``lock_timeout``, ``retry_budget``, ``statement_timeout``,
            ``target_seconds`` in seconds, ``schema_for_state``, ``flush_each_batch``.

    Raises:
        InvalidArgument: A setting is unknown or not a number of seconds.
        OutsideMigration: No Alembic command is running.

    Example:
        configure(lock_timeout=1.0, retry_budget=300.0)
    """
    config = config_of_command()
    if config is None:
        raise OutsideMigration(
            "configure() was called outside env.py.",
            why="Settings belong to one run of Alembic, so that they do not leak into the next.",
            remedy="Call it in env.py before context.configure(), or around helpers write:",
            code="with settings(lock_timeout=1.0):",
        )
    _check_url(config)
    plain_operations.install()
    config.attributes[SETTINGS] = config.attributes.get(SETTINGS, Settings()).with_(**settings)


def _check_url(config: Config) -> None:
    """Raise where env.py would fail on the URL of the configuration file, and print a part of its password."""
    try:
        url = config.get_main_option("sqlalchemy.url") or ""
        if _is_used(url, config):
            make_url(url)
    except configparser.InterpolationMissingOptionError:
        # env.py may be about to give these values: config.set_section_option(...).
        return
    except (configparser.InterpolationError, ArgumentError, ValueError) as error:
        told = of_a_url(error)
        if told is not None:
            raise told from None
        raise


def _is_used(url: str, config: Config) -> bool:
    """Return False for text that env.py is going to replace: by another source, or by filling in what it leaves open."""
    elsewhere = os.environ.get("DATABASE_URL") or getattr(config.cmd_opts, "x", None)
    return "://" in url and not elsewhere and not any(mark in url for mark in "${<")
