"""How a command is spelled so that it does to the same project what the one did that a message is about."""

from __future__ import annotations

import shlex

from alembic.config import Config


def spelled(config: Config, verb: str, revision: str = "") -> str:
    """Return the call of a verb, with the ``-c``, ``-n`` and ``-x`` that its configuration was found by.

    Args:
        config: The configuration of the project.
        verb: The verb.
        revision: The revision; empty where the verb's own is meant.
    """
    given = vars(config.cmd_opts) if config.cmd_opts is not None else {}
    words = ["safeops"]
    for path in given.get("config") or ():
        words += ["-c", str(path)]
    if given.get("name") not in (None, "alembic"):
        words += ["-n", given["name"]]
    for one in given.get("x") or ():
        # A URL may have a password in it.
        words += ["-x", f"{one.partition('=')[0]}=..." if "://" in one else one]
    return shlex.join([*words, verb, *([revision] if revision else [])])
