"""Which release was deployed before a revision, and its models: each commit is exported and imported once a session."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config

from safeops.errors import InvalidArgument
from safeops.review.released_files import ModelsUnknown, as_it_is, exported, released_commit
from safeops.review.repository import NoRepository, Repository
from safeops.testing.failing import Untestable
from safeops.testing.kit import Kit
from safeops.testing.old_process import ModelsProcess
from safeops.testing.project import Project, Revision

MOST = 3
"""Processes that are kept: the revisions come in their order, and with them the commits."""
PRESENT = ""
"""The working tree, in place of a commit."""


@dataclass(frozen=True)
class Release:
    """The models of a release.

    Args:
        name: What it is called in a message.
        commit: Its commit; PRESENT for the working tree.
        process: Has its models.
    """

    name: str
    commit: str
    process: ModelsProcess


class Releases:
    """The releases of a project.

    Args:
        project: The project.
        since: The revisions to test are those since this ref of git, or after this revision.
    """

    def __init__(self, project: Project, since: str | None = None) -> None:
        self.project = project
        self.since = self._ref(since)
        self._running: dict[str, tuple[Release, ExitStack]] = {}
        self._unknown: dict[str, str] = {}

    def _ref(self, since: str | None) -> str | None:
        """Return what names a commit; the name of a revision does not."""
        return None if since in {one.revision for one in self.project.revisions()} else since

    def commit_before(self, revision: Revision) -> str:
        """Return the commit that was deployed when a revision ran first.

        Raises:
            Untestable: It is not known.
        """
        file = revision.path.absolute()
        try:
            is_ref = self.since is not None and Repository.around(file).commit(self.since) is not None
            commit = released_commit(file, self.since if is_ref else None)
        except NoRepository as error:
            raise Untestable(
                f"The models of the release before it are not known: {str(error).splitlines()[0]}. They are read from git:"
                " run the test in a clone of the repository, with git installed."
            ) from error
        if commit is None:
            raise Untestable(
                "The models of the release before it are not known: no commit is older than the revision. In a shallow"
                " clone, fetch the history: git fetch --unshallow. Or name the commit that is deployed:"
                " pytest --safeops --safeops-since GITREF"
            )
        return commit

    def commit_of(self, ref: str) -> str:
        """Return the commit that a name means, or raise InvalidArgument."""
        folder = Path(self.project.script.dir).absolute()
        try:
            commit = Repository.around(folder).commit(ref)
        except NoRepository as error:
            raise InvalidArgument(f"The project is in no git repository: {error}.") from error
        if commit is None:
            raise InvalidArgument(f"{ref} names no commit.", remedy="See which there are:", code="git log --oneline")
        return commit

    def before(self, revision: Revision) -> Release:
        """Return the release that was deployed when a revision ran first, or raise Untestable."""
        return self.at(self.commit_before(revision))

    def at(self, commit: str) -> Release:
        """Return the release of a commit, or of the working tree, or raise Untestable."""
        if commit in self._unknown:
            raise Untestable(self._unknown[commit])
        if commit in self._running and not self._running[commit][0].process.is_running:
            self._running.pop(commit)[1].close()
        if commit not in self._running:
            while len(self._running) >= MOST:
                self._running.pop(next(iter(self._running)))[1].close()
            try:
                self._running[commit] = self._started(commit)
            except ModelsUnknown as error:
                self._unknown[commit] = (
                    f"{str(error).rstrip('.')}. This must work in the environment of the tests, with the files of that"
                    f" commit: git worktree add /tmp/released {commit[:10]} && cd /tmp/released &&"
                    " alembic upgrade head --sql"
                )
                raise Untestable(self._unknown[commit]) from error
        # The one that was used last is closed last.
        self._running[commit] = self._running.pop(commit)
        return self._running[commit][0]

    def _started(self, commit: str) -> tuple[Release, ExitStack]:
        with ExitStack() as stack:
            process = stack.enter_context(_process(self.project.config, commit))
            name = f"commit {commit[:10]}" if commit else "the working tree"
            return Release(name, commit, process), stack.pop_all()

    def close(self) -> None:
        """End the processes, and remove the files."""
        while self._running:
            self._running.popitem()[1][1].close()


@contextmanager
def _process(config: Config, commit: str) -> Iterator[ModelsProcess]:
    with ExitStack() as stack:
        files = stack.enter_context(exported(config, commit)) if commit else as_it_is(config)
        process = ModelsProcess(files)
        stack.callback(process.close)
        yield process


_OF: weakref.WeakKeyDictionary[Kit, Releases] = weakref.WeakKeyDictionary()


def releases_of(kit: Kit) -> Releases:
    """Return the releases of a kit's project; they end with the kit."""
    if kit not in _OF:
        _OF[kit] = releases = Releases(kit.project, kit.since)
        weakref.finalize(kit, releases.close)
    return _OF[kit]
