"""Every error that safeops raises.

    SafeOpsError                    S000
      InvalidArgument               S001  an argument is wrong, unknown or missing; also a ValueError and a TypeError
      OutsideMigration              S002  a helper was called where no migration runs
      TransactionNotOurs            S003  env.py holds the transaction that a helper must step out of
      OnlineOnly                    S004  the deed needs to look at rows; `--sql` cannot
      UnsupportedOnDatabase         S005  this server has no such thing
      UnknownTable                  S101
      UnknownColumn                 S102
      UnknownConstraint             S103
      UnknownType                   S104
      DefinitionMismatch            S201  the name is taken by another definition
      UnsafeOperation               S301  it would block the application or lose data
      DependentObjects              S302  something else stands on what would be dropped
      PhaseMissing                  S303  the phase before this one has not finished
      LockNotAcquired               S401  others held the lock for the whole retry budget
      ServerRefused                 S402  a right, space, memory or time was missing, or the server is read only
      Unreachable                   S403  the server cannot be reached, or the connection to it was lost
      OrphanedRows                  S501  rows that break a foreign key
      DuplicateRows                 S502  rows that break a unique constraint
      ViolatingRows                 S503  rows that break a check or a not null
      BackfillIncomplete            S601  rows are left without a value
      BackfillConflict              S602  the name stands for other work, or for work that goes on
      BackfillStopped               S603  a signal, a throttle or a lost connection ended it; its progress is kept
      BackfillFunctionFailed        S604  the function raised, or returned what cannot be written
      Irreversible                  S701  the revision says that it cannot be undone
      NotCurrent                    S702  the database is not at the revisions that the code needs
      BackupFailed                  S703  a backup was not made, or not restored
      NotReady                      S704  the checklist before an upgrade, or a rollback, found something in the way
      RevisionFailed                S705  a revision raised while it ran; what was finished before it stands
      Unhealthy                     S706  the health check after an upgrade failed

A message says what is wrong, why the database behaves so, what to do instead as code, whether anything was changed,
and whether running again is safe. The code at its end names the page in docs/errors.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic.util import CommandError

NOTHING_CHANGED = "Nothing was changed; running again is safe."
SHOWN = 8
"""How many of the changes before an error are listed."""


class SafeOpsError(CommandError):
    """The parent of all errors of safeops. Alembic's own commands print it without a traceback.

    Args:
        problem: What is wrong, with the author's own names.
        why: Why the database or Alembic behaves so.
        remedy: What to do instead, as a sentence that introduces ``code``.
        code: The lines to write, made of the author's own arguments.
        state: What was changed, and whether running again is safe.
    """

    number = "S000"
    in_any_case = False
    """No earlier step could make it right: the call itself is not finished."""
    kept: Sequence[str] = ()
    """What was finished before it and is kept."""
    left: Sequence[str] = ()
    """What could not be removed after it."""
    about: Sequence[str] = ()
    """What it is about besides the arguments of the call: names, or descriptions of the server with names in them."""
    earlier: Sequence[str] = ()
    """What earlier calls of the same revision have changed."""
    unexpected = False
    """The server gave it outside the statements that wait and are tried again, or with a code that safeops does not know."""

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
        sentences = "\n".join(part for part in (self.problem, self.why, self.state, self.remedy) if part)
        code = "".join(f"\n    {line}" for line in self.code.splitlines())
        return f"{sentences}{code}  [{self.number}]"

    def __repr__(self) -> str:
        # What was changed is often added after the error was made, which ``args`` does not know.
        return f"{type(self).__name__}({str(self)!r})"

    @property
    def state(self) -> str:
        """Whether anything was changed, and whether to run again: as set, or as what is kept tells it."""
        earlier = f" Done earlier in this revision, and kept: {_listed(self.earlier)}." if self.earlier else ""
        if self._state:
            return f"{self._state}{earlier}"
        if self.kept or self.left:
            kept = [f"Finished before and kept: {_listed(self.kept)}."] if self.kept else []
            left = [f"Left behind, because the same sessions block its removal: {thing}." for thing in self.left]
            return f"{' '.join([*kept, *left])} Running again goes on from there.{earlier}"
        return (
            f"This step changed nothing.{earlier} Running again is safe: it skips what is done."
            if earlier
            else NOTHING_CHANGED
        )

    @state.setter
    def state(self, text: str) -> None:
        self._state = text

    def set_work(self, done: Sequence[str], left: Sequence[str]) -> None:
        """Report what the call has come to, whatever was said of its state before."""
        self._state, self.kept, self.left = "", tuple(done), tuple(left)

    def after(self, own: Sequence[str], earlier: Sequence[str]) -> None:
        """Report what was changed before it: by the call that raised it, and by earlier calls of the same revision."""
        if not self.kept and not self.left:
            self.kept = tuple(own)
        self.earlier = self.earlier or tuple(earlier)

    def __reduce__(self) -> tuple[object, ...]:
        # An executor hands errors from process to process, and keyword-only arguments do not survive the default.
        return _rebuild, (type(self), self.__dict__)


def _listed(done: Sequence[str]) -> str:
    more = [f"{len(done) - SHOWN} changes before these"] if len(done) > SHOWN else []
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
    """A helper was called where no Alembic migration is running."""

    number = "S002"


class TransactionNotOurs(SafeOpsError):
    """The transaction around the migration belongs to env.py, so that a helper cannot step out of it."""

    number = "S003"


class OnlineOnly(SafeOpsError):
    """The deed has to look at the live database, which ``--sql`` cannot do."""

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
    """This server has no such thing; the message says what was asked, what it is, and what would be needed."""

    number = "S005"


class UnknownTable(SafeOpsError):
    """The table does not exist; the message names the nearest ones."""

    number = "S101"


class UnknownColumn(SafeOpsError):
    """The column does not exist; the message names the nearest ones."""

    number = "S102"


class UnknownConstraint(SafeOpsError):
    """The constraint does not exist; the message names those of the table."""

    number = "S103"


class UnknownType(SafeOpsError):
    """The named type does not exist; the message names the nearest ones."""

    number = "S104"


class DefinitionMismatch(SafeOpsError):
    """The name is taken by a thing of another definition; the message names each difference."""

    number = "S201"


class UnsafeOperation(SafeOpsError):
    """The deed would block the application or lose data; the message shows the safe call."""

    number = "S301"


class DependentObjects(SafeOpsError):
    """Something else depends on what would be dropped; the message lists it with its definition."""

    number = "S302"


class PhaseMissing(SafeOpsError):
    """The phase before this one has not finished; the message shows the call that is missing."""

    number = "S303"


class LockNotAcquired(SafeOpsError):
    """Other sessions held the lock for the whole retry budget; the message names them."""

    number = "S401"


class ServerRefused(SafeOpsError):
    """The server refused a statement: a right, space, memory or time was missing, or it is read only."""

    number = "S402"


class Unreachable(SafeOpsError):
    """The server cannot be reached, or the connection to it was lost."""

    number = "S403"


class OrphanedRows(SafeOpsError):
    """Rows refer to rows that do not exist; the message has their count, some keys and a query for all."""

    number = "S501"


class DuplicateRows(SafeOpsError):
    """Rows share a key that is to be unique; the message has their count, some keys and a query for all."""

    number = "S502"


class ViolatingRows(SafeOpsError):
    """Rows break a check or a not null; the message has their count, some keys and a query for all."""

    number = "S503"


class BackfillIncomplete(SafeOpsError):
    """Rows are left without a value: it came out NULL, a trigger took it back, or the application writes rows without it."""

    number = "S601"


class BackfillConflict(SafeOpsError):
    """Progress is kept under the name of a backfill, but it is that of other work, or somebody is at work on it."""

    number = "S602"


class BackfillStopped(SafeOpsError):
    """A signal, a throttle or a lost connection ended a backfill; its progress is kept, and running again goes on."""

    number = "S603"


class BackfillFunctionFailed(SafeOpsError):
    """The function of a backfill raised, or returned what cannot be written; the message names the rows."""

    number = "S604"


class Irreversible(SafeOpsError):
    """The revision cannot be undone; the message tells the reason that its author gave."""

    number = "S701"


class NotCurrent(SafeOpsError):
    """The database is not at the revisions that the code needs; the message names both, and the command."""

    number = "S702"


class BackupFailed(SafeOpsError):
    """A backup was not made, or not restored; the message says what was found, what is needed, and what stands."""

    number = "S703"


class NotReady(SafeOpsError):
    """The checklist found something in the way; the message says what to do about it. Nothing was begun."""

    number = "S704"


class RevisionFailed(SafeOpsError):
    """A revision raised while it ran; the message says what stands, what to do, and where running again goes on."""

    number = "S705"


class Unhealthy(SafeOpsError):
    """The health check after an upgrade failed; the message says whether the upgrade stands or was taken back."""

    number = "S706"
