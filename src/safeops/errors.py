"""Every error that safeops raises.

    SafeOpsError                    S000
      InvalidArgument               S001  an argument is wrong, unknown or missing; also a ValueError and a TypeError
      OutsideMigration              S002  a helper was called while no migration is running
      TransactionNotOurs            S003  env.py holds a transaction that a helper must commit
      OnlineOnly                    S004  the operation must inspect the live database; `--sql` cannot
      UnsupportedOnDatabase         S005  this server does not have the feature
      UnknownTable                  S101
      UnknownColumn                 S102
      UnknownConstraint             S103
      UnknownType                   S104
      DefinitionMismatch            S201  the name exists with another definition
      UnsafeOperation               S301  it would block the application or lose data
      DependentObjects              S302  other objects depend on what would be dropped
      PhaseMissing                  S303  a phase was called before the previous one was complete
      LockNotAcquired               S401  other sessions held the lock for the whole retry budget
      ServerRefused                 S402  a privilege, space, memory or time was missing, or the server is read-only
      Unreachable                   S403  the server cannot be reached, or the connection was lost
      OrphanedRows                  S501  rows violate a foreign key
      DuplicateRows                 S502  rows violate a unique constraint
      ViolatingRows                 S503  rows violate a check or a NOT NULL
      BackfillIncomplete            S601  rows still have no value
      BackfillConflict              S602  the name belongs to another backfill, or to one that is running
      BackfillStopped               S603  a signal, a throttle or a lost connection stopped it; its progress is kept
      BackfillFunctionFailed        S604  the function raised, or returned a value that cannot be written
      Irreversible                  S701  the revision declares that it cannot be undone
      NotCurrent                    S702  the database is not at the revisions that the code requires
      BackupFailed                  S703  a backup was not made or not restored
      NotReady                      S704  a pre-flight check before an upgrade or a rollback failed
      RevisionFailed                S705  a revision raised; the steps completed before it are kept
      Unhealthy                     S706  the health check after an upgrade failed
      FillingFailed                 S707  no rows could be made that a table of a copy accepts

A message has five parts: what failed, why, what to do instead as code, whether anything was changed, and whether running
again is safe. Each is given once. The code at the end names the page in docs/errors.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic.util import CommandError

NOTHING_CHANGED = "Nothing was changed; running again is safe."
SHOWN = 8
"""The number of earlier changes that a message lists."""


class SafeOpsError(CommandError):
    """The parent of all errors of safeops. Alembic's commands print it without a traceback.

    Args:
        problem: What failed, with the author's own names.
        why: Why the database or Alembic behaves so.
        remedy: What to do instead, as a sentence that introduces ``code``.
        code: The lines to write, with the author's own arguments.
        state: What was changed, and whether running again is safe.
    """

    number = "S000"
    in_any_case = False
    """The call itself is incomplete: no earlier step could make it succeed."""
    kept: Sequence[str] = ()
    """The steps that the call completed, which are kept."""
    left: Sequence[str] = ()
    """What could not be removed after the failure."""
    about: Sequence[str] = ()
    """What it concerns in addition to the arguments of the call: names, or the server's texts that contain names."""
    earlier: Sequence[str] = ()
    """What earlier calls of the same revision have changed."""
    of_helper = False
    """A helper raised it, and had committed what came before."""
    unexpected = False
    """It came from a statement that is not retried, or with an error code that safeops does not know."""

    def __init__(
        self,
        problem: str,
        *,
        why: str = "",
        remedy: str = "",
        code: str = "",
        state: str = "",
        about: Sequence[str] = (),
    ) -> None:
        self.problem, self.why, self.remedy, self.code, self.state = problem, why, remedy, code, state
        self.about = tuple(about)
        super().__init__(str(self))

    def __str__(self) -> str:
        code = "\n".join(f"    {line}" for line in self.code.splitlines())
        return "\n".join(part for part in (self.problem, self.why, self.remedy, code, self.state) if part) + (
            f"  [{self.number}]"
        )

    def __repr__(self) -> str:
        # The state is often added after the error was made; ``args`` does not contain it.
        return f"{type(self).__name__}({str(self)!r})"

    def as_json(self) -> dict[str, str | None]:
        """Return the parts of the message as data, for ``--json``."""
        return {
            "code": self.number,
            "number": self.number,
            "problem": self.problem,
            "why": self.why,
            "remedy": self.remedy,
            "code_block": self.code,
            "state": self.state,
            "message": str(self),
        }

    @property
    def changes(self) -> str:
        """What was changed before the failure and is kept."""
        earlier = f" Completed earlier in this revision and kept: {_listed(self.earlier)}." if self.earlier else ""
        if self._state:
            return f"{self._state}{earlier}"
        kept = [f"Completed and kept: {_listed(self.kept)}."] if self.kept else []
        left = [f"Could not be removed, because the same sessions block it: {thing}." for thing in self.left]
        return f"{' '.join([*kept, *left]) or 'This step changed nothing.'}{earlier}"

    @property
    def state(self) -> str:
        """What was changed, and whether to run again."""
        if self._state:
            return self.changes
        if self.kept or self.left:
            return f"{self.changes} Running again continues from there."
        return f"{self.changes} Running again is safe and skips what is done." if self.earlier else NOTHING_CHANGED

    @state.setter
    def state(self, text: str) -> None:
        self._state = text

    def set_work(self, done: Sequence[str], left: Sequence[str]) -> None:
        """Replace the state by the steps that the call completed, and by what it could not remove."""
        self._state, self.kept, self.left = "", tuple(done), tuple(left)

    def after(self, own: Sequence[str], earlier: Sequence[str]) -> None:
        """Add the changes before it: of the call that raised it, and of earlier calls of the same revision."""
        if not self.kept and not self.left:
            self.kept = tuple(own)
        self.earlier = self.earlier or tuple(earlier)
        self.of_helper = True

    def __reduce__(self) -> tuple[object, ...]:
        # Executors pickle errors, and the default passes no keyword-only arguments.
        return _rebuild, (type(self), self.__dict__)


def error_as_json(error: BaseException) -> dict[str, str | None]:
    """Return any error as the object of ``--json``: one of another library has a message, and no code."""
    if isinstance(error, SafeOpsError):
        return error.as_json()
    parts = dict.fromkeys(("code", "number", "problem", "why", "remedy", "code_block", "state"))
    return {**parts, "message": str(error) or type(error).__name__}


def _listed(done: Sequence[str]) -> str:
    more = [f"and {len(done) - SHOWN} earlier changes"] if len(done) > SHOWN else []
    return "; ".join([*done[-SHOWN:], *more])


def _rebuild(cls: type[SafeOpsError], state: dict[str, str]) -> SafeOpsError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (str(error),)
    return error


class InvalidArgument(SafeOpsError, ValueError, TypeError):
    """An argument of a helper is wrong, unknown or missing; the message shows the call as it should be."""

    number = "S001"


class OutsideMigration(SafeOpsError):
    """A helper was called while no Alembic migration is running."""

    number = "S002"


class TransactionNotOurs(SafeOpsError):
    """The transaction around the migration belongs to env.py, so a helper cannot commit it."""

    number = "S003"


class OnlineOnly(SafeOpsError):
    """The operation must inspect the live database, which ``--sql`` cannot do."""

    number = "S004"


def online_only(change: str, why: str) -> OnlineOnly:
    """Return the error of a change that cannot be rendered."""
    return OnlineOnly(
        f"{change} cannot be rendered for --sql.",
        why=why,
        remedy="Run this revision against the database, or guard it:",
        code="if not op.get_context().as_sql:\n    ...",
    )


class UnsupportedOnDatabase(SafeOpsError):
    """This server does not have the feature; the message names what was requested, the server, and what is required."""

    number = "S005"


class UnknownTable(SafeOpsError):
    """The table does not exist; the message names the nearest ones."""

    number = "S101"


class UnknownColumn(SafeOpsError):
    """The column does not exist; the message names the nearest ones."""

    number = "S102"


class UnknownConstraint(SafeOpsError):
    """The constraint does not exist; the message names the constraints of the table."""

    number = "S103"


class UnknownType(SafeOpsError):
    """The named type does not exist; the message names the nearest ones."""

    number = "S104"


class DefinitionMismatch(SafeOpsError):
    """The name exists with another definition; the message names each difference."""

    number = "S201"


class UnsafeOperation(SafeOpsError):
    """The operation would block the application or lose data; the message shows the safe call."""

    number = "S301"


class DependentObjects(SafeOpsError):
    """Other objects depend on what would be dropped; the message lists them with their definitions."""

    number = "S302"


class PhaseMissing(SafeOpsError):
    """The previous phase is not complete; the message shows the missing call."""

    number = "S303"


class LockNotAcquired(SafeOpsError):
    """Other sessions held the lock for the whole retry budget; the message names them."""

    number = "S401"


class ServerRefused(SafeOpsError):
    """The server refused a statement: a privilege, space, memory or time was missing, or it is read-only."""

    number = "S402"


class Unreachable(SafeOpsError):
    """The server cannot be reached, or the connection was lost."""

    number = "S403"


class OrphanedRows(SafeOpsError):
    """Rows refer to rows that do not exist; the message gives their count, some keys and a query for all."""

    number = "S501"


class DuplicateRows(SafeOpsError):
    """Rows share a key that must be unique; the message gives their count, some keys and a query for all."""

    number = "S502"


class ViolatingRows(SafeOpsError):
    """Rows violate a check or a NOT NULL; the message gives their count, some keys and a query for all."""

    number = "S503"


class BackfillIncomplete(SafeOpsError):
    """Rows still have no value: the value was NULL, a trigger removed it, or the application writes rows without it."""

    number = "S601"


class BackfillConflict(SafeOpsError):
    """The name belongs to another backfill, or to a backfill that another runner is executing."""

    number = "S602"


class BackfillStopped(SafeOpsError):
    """A signal, a throttle or a lost connection stopped a backfill; its progress is kept, and running again continues."""

    number = "S603"


class BackfillFunctionFailed(SafeOpsError):
    """A backfill function raised, or returned a value that cannot be written; the message names the rows."""

    number = "S604"


class Irreversible(SafeOpsError):
    """The revision cannot be undone; the message gives its author's reason."""

    number = "S701"


class NotCurrent(SafeOpsError):
    """The database is not at the revisions that the code requires; the message names both, and the command."""

    number = "S702"


class BackupFailed(SafeOpsError):
    """A backup was not made or not restored; the message gives what was found, what is required, and what exists now."""

    number = "S703"


class NotReady(SafeOpsError):
    """A pre-flight check failed; the message explains what to do. Nothing was started."""

    number = "S704"


class RevisionFailed(SafeOpsError):
    """A revision raised; the message gives what is kept, what to do, and the command to run again."""

    number = "S705"


class Unhealthy(SafeOpsError):
    """The health check after an upgrade failed; the message reports whether the upgrade was kept or reverted."""

    number = "S706"


class FillingFailed(SafeOpsError):
    """No rows could be made that a table of a copy accepts; the message names the table and what prevents it."""

    number = "S707"
