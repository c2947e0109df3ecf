"""The revisions of a project: why its files cannot be loaded, what is pending, its heads, and missing downgrades."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, load_python_file, to_tuple

from safeops import _alembic
from safeops.errors import InvalidArgument, NotReady, SafeOpsError
from safeops.planned import summary
from safeops.schema.refusals import NOTHING_TO_UNDO

RESERVED = frozenset({"base", "head", "heads", "current"})
"""Names that Alembic does not take for revisions."""
MERGE = "Merge them: safeops heads --merge. To keep the branches separate, give each its own branch label."
GET_FILE_BACK = (
    "Restore the file, for example from the branch that was deployed. If it no longer exists, set the revision of the"
    " database:"
)
STAMP = "safeops stamp REV --verify"


@dataclass(frozen=True)
class Fault:
    """Why the revisions cannot be loaded.

    Args:
        what: What is wrong, as the end of a sentence.
        file: The file with the fault; None if there is no single one.
        line: The line in that file.
    """

    what: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}: {self.what}" if self.file else self.what


@dataclass(frozen=True)
class Pending:
    """A revision that is still to run."""

    revision: str
    message: str


# Loading --------------------------------------------------------------------------------------------------------


def scripts_of(config: Config) -> ScriptDirectory:
    """Load the revisions of a project, or raise SafeOpsError that names each file with a fault."""
    script = ScriptDirectory.from_config(config)
    if found := faults(script):
        lines = "".join(f"\n  {fault}" for fault in found)
        raise SafeOpsError(
            f"The revisions cannot be loaded:{lines}",
            why="Alembic loads all of them before it does anything.",
            remedy="Fix the files. If a revision is missing, restore its file from the branch on which it was written. Then"
            " check all of them:",
            code="safeops check",
        )
    return script


def faults(script: ScriptDirectory) -> list[Fault]:
    """Return why the revisions cannot be loaded; nothing if they can."""
    with warnings.catch_warnings():
        # Alembic warns about a missing revision before it fails; the fault also names the file.
        warnings.filterwarnings("ignore", "Revision .* is not present")
        try:
            script.get_heads()
            # Alembic skips a revision with a reserved name, but not the one that follows it.
            scripts = list(script.walk_revisions())
        except Exception as error:
            return list(_faults_in_files(script)) or [Fault(str(error) or summary(error))]
        names = {name for known in scripts for name in (known.revision, *to_tuple(known.down_revision, default=()))}
        return list(_faults_in_files(script)) if RESERVED & names else []


def files_of(script: ScriptDirectory) -> list[Path]:
    """Return the files that Alembic takes for revisions."""
    pattern = "**/*.py" if script.recursive_version_locations else "*.py"
    paths = [path for folder in _alembic.version_folders(script) for path in sorted(Path(folder).glob(pattern))]
    return [path for path in paths if not path.name.startswith((".#", "__init__"))]


def line_in(path: Path, error: Exception) -> int:
    """Return the line of a revision that raised; that of its first function if the traceback has none."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    lines = [frame.lineno for frame in frames if frame.lineno is not None]
    return lines[-1] if lines else line_of(path, "def (?:up|down)grade")


def line_of(path: Path, pattern: str) -> int:
    """Return the first line with a statement that begins with a pattern; 1 if there is none."""
    text = path.read_text(errors="replace")
    statement = re.search(rf"^(?:.*; *)?{pattern}\b", text, re.MULTILINE)
    return text[: statement.start()].count("\n") + 1 if statement else 1


def _faults_in_files(script: ScriptDirectory) -> Iterator[Fault]:
    loaded: dict[Path, ModuleType] = {}
    for path in files_of(script):
        try:
            loaded[path] = load_python_file(path.parent, path.name)
        except Exception as error:
            yield Fault(summary(error), str(path), line_in(path, error))
    for path, module in loaded.items():
        for name in ("revision", "down_revision"):
            if not hasattr(module, name):
                yield Fault(f"{name} is missing", str(path), 1)
        if getattr(module, "revision", None) in RESERVED:
            what = f"revision is {module.revision!r}, a word that Alembic reserves: choose another name"
            yield Fault(what, str(path), line_of(path, "revision"))
    # A file that does not load may have any revision.
    if len(loaded) == len(files_of(script)):
        known = {name for module in loaded.values() for name in _names_of(module)}
        for path, module in loaded.items():
            yield from _missing_revisions(path, module, known)


def _names_of(module: ModuleType) -> tuple[Any, ...]:
    return getattr(module, "revision", None), *to_tuple(getattr(module, "branch_labels", None), default=())


def _missing_revisions(path: Path, module: ModuleType, known: set[Any]) -> Iterator[Fault]:
    for variable in ("down_revision", "depends_on"):
        for name in to_tuple(getattr(module, variable, None), default=()):
            # depends_on takes abbreviations.
            is_short = variable == "depends_on" and any(str(full).startswith(name) for full in known)
            if name not in known and not is_short:
                what = f"{variable} is {name!r}, and no file has that revision"
                yield Fault(what, str(path), line_of(path, variable))


# Pending --------------------------------------------------------------------------------------------------------


def unknown_revisions(script: ScriptDirectory, current: Sequence[str]) -> list[str]:
    """Return the revisions of a database that no file has."""
    return [revision for revision in current if not _is_known(script, revision)]


def pending_revisions(script: ScriptDirectory, current: Sequence[str]) -> list[Pending]:
    """Return what an upgrade to all heads would run, in order; nothing if no file has a current revision."""
    known = tuple(revision for revision in current if _is_known(script, revision))
    if current and not known:
        return []
    return [pending_of(step) for step in steps_between(script, "heads", known)]


def steps_between(script: ScriptDirectory, revision: str, current: Sequence[str], *, down: bool = False) -> list[Any]:
    """Return the steps that Alembic's own command would run."""
    steps = _alembic.downgrade_steps if down else _alembic.upgrade_steps
    try:
        return steps(script, revision, current)
    except AssertionError as error:
        # Alembic does not expect an empty name, or a relative one past the last revision.
        raise CommandError(f"{revision!r} names no revision") from error


def pending_of(step: Any) -> Pending:
    return Pending(step.revision.revision, step.revision.doc or "")


def listed(revisions: Iterable[str]) -> str:
    """Name the revisions that a database is at."""
    return ", ".join(revisions) or "no revision"


def no_such_revision(problem: str, error: CommandError) -> InvalidArgument:
    """Return the error for a revision that Alembic does not find."""
    return InvalidArgument(f"{problem}: {error}.", remedy="To list the revisions:", code="alembic history")


def _is_known(script: ScriptDirectory, revision: str) -> bool:
    try:
        return script.get_revision(revision) is not None
    except CommandError:
        return False


# Heads ----------------------------------------------------------------------------------------------------------


def heads(config: Config) -> list[Pending]:
    """Return the newest revisions that there are files for; no database is queried."""
    return heads_of(scripts_of(config))


def heads_of(script: ScriptDirectory) -> list[Pending]:
    newest = [script.get_revision(head) for head in sorted(script.get_heads())]
    return [Pending(head.revision, head.doc or "") for head in newest]


def unmerged_heads(script: ScriptDirectory) -> list[str]:
    """Return the heads that must be merged; none if there is one head, or if they are meant to stay apart."""
    newest = sorted(script.get_heads())
    return newest if len(newest) > 1 and not stay_apart(script) else []


def stay_apart(script: ScriptDirectory) -> bool:
    """Return whether there are several heads, each with a branch label that no other has."""
    labels = [script.get_revision(head).branch_labels for head in script.get_heads()]
    return len(labels) > 1 and all(own.difference(*(other for other in labels if other is not own)) for own in labels)


def merge(config: Config, message: str | None = None) -> Path | None:
    """Write the revision that merges all heads; None if there is only one.

    Args:
        config: The configuration of the project.
        message: Its message; by default which revisions it merges.
    """
    script = scripts_of(config)
    names = sorted(script.get_heads())
    if len(names) < 2:
        return None
    if stay_apart(script):
        raise NotReady(
            f"The heads {', '.join(names)} have their own branch labels: these branches stay separate.",
            why="Merging the heads would end the branches.",
            remedy="Upgrade all of them. To end the branches, let Alembic write the revision:",
            code="safeops upgrade heads\nalembic merge heads",
        )
    template = Path(script.dir) / "script.py.mako"
    if not template.is_file():
        raise SafeOpsError(
            f"There is no file {template}, the template of revisions.",
            remedy="Restore it, or write a new one:",
            code="safeops init",
        )
    # Alembic prints messages.
    with redirect_stdout(io.StringIO()):
        merged = command.merge(config, names, message=message or f"merge {' and '.join(names)}")
    assert isinstance(merged, Script)
    return Path(merged.path)


# Downgrades -----------------------------------------------------------------------------------------------------


def missing_downgrade(script: Script) -> tuple[int, str] | None:
    """Return the line of a missing downgrade, and what is missing; None if there is one, or a comment explains why not.

    The comment begins with "Nothing to undo". A docstring does not count: Alembic's template writes one too.
    """
    source = Path(script.path).read_bytes()
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    upgrade, downgrade = functions.get("upgrade"), functions.get("downgrade")
    if downgrade is None:
        # It may be assigned or imported, which only the module itself shows.
        return None if hasattr(script.module, "downgrade") else (1, "has no downgrade()")
    statements = _effective(downgrade)
    if statements and all(_is_not_implemented(statement) for statement in statements):
        return downgrade.lineno, "has a downgrade() that is not implemented"
    # A revision that does nothing, such as a merge, needs no downgrade.
    if not statements and upgrade is not None and _effective(upgrade) and not _nothing_to_undo(source, downgrade):
        return downgrade.lineno, "has an empty downgrade()"
    return None


def has_nothing_to_undo(script: Script) -> bool:
    """Return whether downgrade() does nothing, and a comment declares that this is intended."""
    source = Path(script.path).read_bytes()
    functions = (
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "downgrade"
    )
    return any(not _effective(one) and _nothing_to_undo(source, one) for one in functions)


def _nothing_to_undo(source: bytes, function: ast.FunctionDef) -> bool:
    # For Python's parser, a comment after the last statement is outside of the function.
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        line, column = token.start
        if token.type == tokenize.COMMENT and line >= function.lineno and column > function.col_offset:
            if token.string.startswith(NOTHING_TO_UNDO):
                return True
        elif token.type == tokenize.NAME and line > function.lineno and column == 0:
            return False
    return False


def _effective(function: ast.FunctionDef) -> list[ast.stmt]:
    return [statement for statement in function.body if not _does_nothing(statement)]


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Return(value=None | ast.Constant(value=None)) | ast.Expr(value=ast.Constant()):
            return True
    return False


def _is_not_implemented(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
    return False
