"""Which revisions a review is about: those named, those since a git ref or a revision, those pending, or all."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
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
from safeops.runner.environment import reach_existing
from safeops.runner.revisions import no_such_revision, scripts_of, steps_between, unknown_revisions

MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""What the branch may be called that a change is merged into."""
PATIENCE = 3.0
"""Seconds to wait for a server that may not be there."""


@dataclass(frozen=True)
class Selection:
    """The revisions to review.

    Args:
        scripts: The revisions, the oldest first.
        why: Which these are, as the end of a sentence.
        one_run: Whether one deploy runs them, so that a table that one makes has no rows for those after it.
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

    Without any of these: what is pending on the database, if it can be reached; else what the main branch lacks; else all.

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


def _all(script: ScriptDirectory, why: str = "all there are") -> Selection:
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
    return found or _nothing(f"No revision follows {lower or 'base'} on the way to {upper or 'heads'}.")


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
    base = Git(Path(script.dir)).merge_base(since)
    if base is not None:
        return _changed(script, base, f"added or changed since {since}")
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


def _changed(script: ScriptDirectory, base: str, why: str) -> Selection:
    changed = Git(Path(script.dir)).changed_since(base)
    revisions = {one.revision for one in script.walk_revisions() if Path(one.path).resolve() in changed}
    return Selection(_ordered(script, revisions), why, one_run=True)


class Git:
    """The git repository that has a project; there may be none.

    Args:
        folder: A folder in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def merge_base(self, ref: str) -> str | None:
        """Return the newest commit that a ref and the current branch share; None if there is no such ref, or no git."""
        commit = self._asked("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return (self._asked("merge-base", commit, "HEAD") or commit) if commit else None

    def main_branch(self) -> str | None:
        """Return the branch that changes are merged into; None if that is the current one, or if there is none."""
        current = self._asked("symbolic-ref", "--quiet", "--short", "HEAD")
        return next((name for name in MAIN_BRANCHES if name != current and self.merge_base(name)), None)

    def changed_since(self, commit: str) -> set[Path]:
        """Return the files that were added or changed since a commit, committed or not."""
        root = Path(self._asked("rev-parse", "--show-toplevel") or ".")
        lines = (self._asked("diff", "--name-status", "-M100%", "-z", commit, "--") or "").split("\0")
        new = (self._asked("ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/") or "").split("\0")
        return {(root / name).resolve() for name in (*_changed_in(lines), *new) if name}

    def _asked(self, *arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(self._folder), *arguments], capture_output=True, text=True, check=False, timeout=60
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip("\n") if done.returncode == 0 else None


def _changed_in(fields: Sequence[str]) -> Iterator[str]:
    """Yield the files of ``git diff --name-status``; one that was only renamed is not changed."""
    rest = iter(fields)
    for status in rest:
        name = next(rest, "")
        if status[:1] in ("R", "C"):
            next(rest, "")
        elif status != "D":
            yield name


# New ------------------------------------------------------------------------------------------------------------


def _new(config: Config, script: ScriptDirectory) -> Selection:
    try:
        with not_waiting():
            reached = reach_existing(config)
    except Exception as error:
        return _lacking(script, f"the database cannot be reached: {summary(error)}")
    if unknown := unknown_revisions(script, reached.current):
        return _lacking(script, f"the database is at {', '.join(unknown)}, which no file has")
    steps = steps_between(script, "heads", reached.current)
    return Selection(tuple(step.revision for step in steps), "pending on the database", one_run=True)


def _lacking(script: ScriptDirectory, why: str) -> Selection:
    git = Git(Path(script.dir))
    branch = git.main_branch()
    base = git.merge_base(branch) if branch is not None else None
    if base is None:
        return _all(script, f"all there are, because {why}")
    return _changed(script, base, f"added or changed since {branch}, because {why}")


def not_waiting() -> AbstractContextManager[None]:
    """Have connecting fail within moments where no server answers, for the block."""
    return listening(Engine, "do_connect", _refuse_silent_server)


def _refuse_silent_server(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
    """Raise if no server answers at an address within moments; drivers wait for minutes."""
    host, port = options.get("host"), options.get("port")
    if isinstance(host, str) and host and not host.startswith("/") and str(port).isdigit():
        socket.create_connection((host, int(str(port))), timeout=PATIENCE).close()
