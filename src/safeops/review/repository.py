"""The git repository of a project: the merge base with the main branch, and its files at a commit."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Names of the branch that is deployed, the likeliest first."""
GIT_SECONDS = 60


class NoRepository(Exception):
    """git is missing, rejects the folder, or does not find the object."""


@dataclass(frozen=True)
class Repository:
    """A git repository.

    Args:
        root: Its top folder.
    """

    root: Path

    @classmethod
    def around(cls, path: Path) -> Repository:
        """Return the repository of a file or a folder, or raise NoRepository."""
        folder = path if path.is_dir() else path.parent
        return cls(Path(_git(folder, "rev-parse", "--show-toplevel")))

    def commit(self, ref: str) -> str | None:
        """Return the commit that a name means; None if it means none."""
        try:
            return _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        except NoRepository:
            return None

    def merge_base(self, ref: str | None = None) -> str | None:
        """Return the merge base of HEAD and a branch, by default the main one; None if there is no such branch."""
        for branch in MAIN_BRANCHES if ref is None else (ref,):
            if self.commit(branch):
                try:
                    return _git(self.root, "merge-base", "HEAD", branch)
                except NoRepository:
                    return None
        return None

    def shared_with(self, ref: str) -> str | None:
        """Return the newest commit that HEAD shares with a ref, or that of the ref; None if there is no such ref."""
        return self.merge_base(ref) or self.commit(ref)

    def main_branch(self) -> str | None:
        """Return the branch that changes are merged into; None if that is the current one, or if there is none."""
        try:
            current = _git(self.root, "symbolic-ref", "--quiet", "--short", "HEAD")
        except NoRepository:
            current = ""
        return next((branch for branch in MAIN_BRANCHES if branch != current and self.commit(branch)), None)

    def changed_since(self, commit: str) -> set[Path]:
        """Return the files that were added or changed since a commit, whether that was committed or not."""
        changed = _git(self.root, "diff", "--name-status", "-M100%", "-z", commit, "--").split("\0")
        new = _git(self.root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
        return {(self.root / name).resolve() for name in (*_changed_in(changed), *new) if name}

    def before(self, file: Path) -> str | None:
        """Return the last commit of this branch without a file, also before a merge; HEAD if it is not committed."""
        found = ("log", "--first-parent", "-m", "--no-renames", "--diff-filter=A", "--format=%H", "-1", "--", str(file))
        added = _git(self.root, *found)
        return self.commit(f"{added}^") if added else self.commit("HEAD")

    def has(self, commit: str, file: Path) -> bool:
        """Return whether a file existed at a commit."""
        path = file.resolve().relative_to(self.root.resolve()).as_posix()
        try:
            _git(self.root, "cat-file", "-e", f"{commit}:{path}")
        except NoRepository:
            return False
        return True

    def export(self, commit: str, folder: Path) -> None:
        """Write the files of a commit into a folder; the repository itself is not changed."""
        archive = folder / "archive.tar"
        _git(self.root, "archive", "--format=tar", f"--output={archive}", commit)
        with tarfile.open(archive) as files:
            # The latest releases of each Python reject paths outside of the folder, with this option.
            if hasattr(tarfile, "data_filter"):
                files.extraction_filter = tarfile.data_filter
            files.extractall(folder)
        archive.unlink()


def _changed_in(fields: Sequence[str]) -> Iterator[str]:
    """Yield the files of ``git diff --name-status``; one that was only renamed is not changed."""
    rest = iter(fields)
    for status in rest:
        name = next(rest, "")
        if status[:1] in ("R", "C"):
            next(rest, "")
        elif status != "D":
            yield name


def _git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoRepository(f"could not run git: {error}") from error
    if done.returncode:
        raise NoRepository(done.stderr.strip() or f"git {arguments[0]} found nothing")
    return done.stdout.strip()
