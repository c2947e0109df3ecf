"""Which revisions a review is about: those named, those since a git ref or a revision, those pending, or all."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import Engine

from safeops.databases.connections import listening
from safeops.errors import InvalidArgument
from safeops.planned import summary
from safeops.review.repository import NoRepository, Repository
from safeops.runner.environment import reach_existing
from safeops.runner.revisions import no_such_revision, scripts_of, steps_between, unknown_revisions

PATIENCE = 3.0
"""Seconds to wait for a server that might be down."""


@dataclass(frozen=True)
class Selection:
    """The revisions to review.

    Args:
        scripts: The revisions, the oldest first.
        why: Which these are, as the end of a sentence.
        one_run: Whether one deploy runs them: a table of one then has no rows for those after it.
    """

    scripts: tuple[Script, ...]
    why: str
    one_run: bool = False


def selected(
    config: Config, revisions: Sequence[str] = (), *, since: str | None = None, all_: bool = False
) -> Selection:
    """Return the revisions to review.

    Args:
        config: The configuration of the project.
        revisions: Revisions, ranges of them as ``a:b`` (what an upgrade from a to b runs), and files of revisions.
        since: A revision: those that follow it; or a ref of git: those whose files were added or changed since then.
        all_: All revisions.

    Without any of these: the pending ones of the database, if it can be reached; else those that the main branch does not
    have; else all.

    Raises:
        InvalidArgument: There is no such revision, file or ref.
    """
    script = scripts_of(config)
    if revisions:
        named = {one.revision for name in revisions for one in _named(script, name)}
        return Selection(_ordered(script, named), "named", one_run=any(map(_is_range, revisions)))
    if since is not None:
        return _since(script, since)
    return _all(script) if all_ else _new(config, script)


def _all(script: ScriptDirectory, why: str = "all revisions") -> Selection:
    return Selection(tuple(reversed(list(script.walk_revisions()))), why)


def _ordered(script: ScriptDirectory, revisions: set[str]) -> tuple[Script, ...]:
    return tuple(one for one in reversed(list(script.walk_revisions())) if one.revision in revisions)


# By name --------------------------------------------------------------------------------------------------------


def _named(script: ScriptDirectory, name: str) -> Iterable[Script]:
    if _is_range(name):
        return _between(script, *name.split(":", 1))
    if name.endswith(".py") or Path(name).is_file():
        return [_of_file(script, Path(name))]
    try:
        found = [one for one in script.get_revisions(name) if one is not None] if name else []
    except CommandError as error:
        raise no_such_revision(f"There is no revision {name}", error) from error
    return found or _nothing(f"{name!r} names no revision.")


def _nothing(problem: str) -> NoReturn:
    raise InvalidArgument(problem, remedy="See which revisions there are:", code="alembic history --verbose")


def _is_range(name: str) -> bool:
    return ":" in name and not Path(name).exists()


def _between(script: ScriptDirectory, lower: str, upper: str) -> list[Script]:
    """Return what an upgrade from one revision to another runs."""
    try:
        before = [one.revision for one in script.get_revisions(lower or "base") if one is not None]
        found = [step.revision for step in steps_between(script, upper or "heads", before)]
    except CommandError as error:
        raise no_such_revision(f"There is no upgrade from {lower or 'base'} to {upper or 'heads'}", error) from error
    return found or _nothing(f"No revision is between {lower or 'base'} and {upper or 'heads'}.")


def _of_file(script: ScriptDirectory, path: Path) -> Script:
    wanted = path.resolve()
    for one in script.walk_revisions():
        if Path(one.path).resolve() == wanted:
            return one
    problem = "is not a revision of this project" if path.is_file() else "does not exist"
    _nothing(f"The file {path} {problem}.")


# Since ----------------------------------------------------------------------------------------------------------


def _since(script: ScriptDirectory, since: str) -> Selection:
    known = {one.revision for one in script.walk_revisions()}
    if since in known:
        return _following(script, since)
    repository = _repository(script)
    base = repository.shared_with(since) if repository is not None else None
    if repository is not None and base is not None:
        return _changed(script, repository, base, f"added or changed since {since}")
    try:
        return _following(script, script.get_revision(since).revision)
    except CommandError as error:
        raise no_such_revision(f"{since} is neither a ref of git nor a revision", error) from error


def _following(script: ScriptDirectory, revision: str) -> Selection:
    """Return the revisions that follow one, on every branch."""
    following = {revision}
    for one in reversed(list(script.walk_revisions())):
        if not following.isdisjoint(_parents(one)):
            following.add(one.revision)
    return Selection(_ordered(script, following - {revision}), f"after {revision}", one_run=True)


def _parents(script: Script) -> Iterator[str]:
    down: Any = script.down_revision
    yield from () if down is None else (down,) if isinstance(down, str) else down


def _repository(script: ScriptDirectory) -> Repository | None:
    try:
        return Repository.around(Path(script.dir).resolve())
    except NoRepository:
        return None


def _changed(script: ScriptDirectory, repository: Repository, base: str, why: str) -> Selection:
    changed = repository.changed_since(base)
    revisions = {one.revision for one in script.walk_revisions() if Path(one.path).resolve() in changed}
    return Selection(_ordered(script, revisions), why, one_run=True)


# New ------------------------------------------------------------------------------------------------------------


def _new(config: Config, script: ScriptDirectory) -> Selection:
    try:
        with not_waiting():
            reached = reach_existing(config, script)
    except Exception as error:
        return _lacking(script, f"the database cannot be reached: {summary(error)}")
    if unknown := unknown_revisions(script, reached.current):
        return _lacking(script, f"the database is at {', '.join(unknown)}, and no file has that revision")
    steps = steps_between(script, "heads", reached.current)
    return Selection(tuple(step.revision for step in steps), "pending on the database", one_run=True)


def _lacking(script: ScriptDirectory, why: str) -> Selection:
    repository = _repository(script)
    branch = repository.main_branch() if repository is not None else None
    base = repository.shared_with(branch) if repository is not None and branch is not None else None
    if repository is not None and base is not None:
        with suppress(NoRepository):
            return _changed(script, repository, base, f"added or changed since {branch}, because {why}")
    return _all(script, f"all revisions, because {why}")


def not_waiting() -> AbstractContextManager[None]:
    """Let connecting fail within seconds in the block if no server answers."""
    return listening(Engine, "do_connect", _refuse_silent_server)


def _refuse_silent_server(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
    """Raise if no server answers at an address within seconds; drivers wait for minutes."""
    host, port = options.get("host"), options.get("port")
    if isinstance(host, str) and host and not host.startswith("/") and str(port).isdigit():
        socket.create_connection((host, int(str(port))), timeout=PATIENCE).close()
