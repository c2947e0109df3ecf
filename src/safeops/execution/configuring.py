"""The settings of a whole run, from env.py: ``configure()``."""

from __future__ import annotations

import configparser
import os
from typing import Any

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from safeops._alembic import print_errors_once
from safeops.arguments import arguments_checked
from safeops.databases.connections import of_a_url
from safeops.errors import InvalidArgument, OutsideMigration
from safeops.execution import plain_operations
from safeops.execution.guarding import check_parsers
from safeops.execution.migration import SETTINGS, config_of_command, script_of_command
from safeops.policy import SETTINGS as KEYWORDS
from safeops.policy import Settings


@arguments_checked(KEYWORDS)
def configure(**settings: Any) -> None:
    """Set what the revisions of this run are allowed to do. Call it in env.py.

    Online, the lock timeout holds for helpers, and for what a revision sends itself by ``op``, a connection or a session.

    The settings belong to the ``Config`` of this Alembic command, and end with it.

    Args:
        **settings: Fields of ``Settings``: ``lock_timeout``, ``retry_budget``, ``statement_timeout``,
            ``target_seconds`` in seconds, ``schema_for_state``, ``flush_each_batch``, and of the guard: ``guard`` as
            "raise", "warn" or "off", ``guard_from``, ``small_table``.

    Raises:
        InvalidArgument: A setting is unknown or of another kind, or no file has the revision ``guard_from``.
        NotReady: The guard is switched on, and its parsers are not installed.
        OutsideMigration: No Alembic command is running.

    Example:
        configure(lock_timeout=1.0, retry_budget=300.0, guard="raise")
    """
    config = config_of_command()
    if config is None:
        raise OutsideMigration(
            "configure() was called outside env.py.",
            why="Settings belong to one run of Alembic. They do not affect the next one.",
            remedy="Call it in env.py before context.configure(), or around helpers write:",
            code="with settings(lock_timeout=1.0):",
        )
    print_errors_once(config)
    _check_url(config)
    plain_operations.install()
    wanted = config.attributes.get(SETTINGS, Settings()).with_(**settings)
    if wanted.guard != "off":
        _check_guard(wanted)
    config.attributes[SETTINGS] = wanted


def _check_guard(settings: Settings) -> None:
    """Raise, before anything runs, if the guard cannot work with these settings."""
    check_parsers()
    script = script_of_command()
    if settings.guard_from is None or script is None:
        return
    try:
        script.get_revision(settings.guard_from)
    except CommandError as error:
        raise InvalidArgument(
            f"guard_from is {settings.guard_from!r}, and no file has that revision: {error}",
            why="Revisions before it are let through, so a wrong one would switch the guard off.",
            remedy="Name the first revision to guard; alembic history lists them:",
            code='configure(guard="raise", guard_from="ae1027a6acf")',
        ) from error


def _check_url(config: Config) -> None:
    """Raise if env.py would fail on the URL of the configuration file, and print a part of its password."""
    try:
        # get_main_option() raises if pyproject.toml alone has the configuration.
        url = config.file_config.get(config.config_ini_section, "sqlalchemy.url", fallback=None) or ""
        if _is_used(url, config):
            make_url(url)
    except configparser.InterpolationMissingOptionError:
        # env.py may be about to give these values: config.set_section_option(...).
        return
    except (configparser.InterpolationError, ArgumentError, ValueError) as error:
        explained = of_a_url(error)
        if explained is not None:
            raise explained from None
        raise


def _is_used(url: str, config: Config) -> bool:
    """Return False for text that env.py is going to replace: by another source, or by filling in what it leaves open."""
    elsewhere = os.environ.get("DATABASE_URL") or getattr(config.cmd_opts, "x", None)
    return "://" in url and not elsewhere and not any(mark in url for mark in "${<")
