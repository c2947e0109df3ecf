"""The verdict of a rehearsal: whether each budget and each promise was kept, and if not, which statement to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safeops.judging.finding import Finding
from safeops.planned import counted
from safeops.rehearse.effects import FILE
from safeops.rehearse.findings import finding_of
from safeops.rehearse.impact import ALL_WAIT, BRIEF, WRITES_WAIT
from safeops.rehearse.measuring import Run
from safeops.rehearse.projection import Projected, duration_text
from safeops.rehearse.traffic import Comparison, Loss, TrafficError, TrafficResult
from safeops.rehearse.traffic.losses import MISSING
from safeops.rehearse.waits import shortened
from safeops.rehearse.way_back import Back

WAIT, TIME, ERRORS, LOST, WAY_BACK, TRAFFIC = "wait", "time", "errors", "lost", "downgrade", "traffic"
"""What was missed: the two budgets, and three promises; or that no traffic was there to judge them by."""
NAMED = 3
"""Statements that a finding names, if several failed with the same error."""
WHAT_WAITS = {WRITES_WAIT: "writes to", ALL_WAIT: "reads and writes of", BRIEF: "writes to"}
ACCEPTED = "# safeops: allow lossy-downgrade -- reason"
CACHED_PLAN = "cached plan must not change result type"
DEADLOCK = "Change the rows in short batches: a deadlock is less likely the fewer rows a transaction has locked."
REQUIRED = (
    "Give the column a server default, or fill it by a trigger as long as the running release is deployed:"
    " add_required_column(..., keep_filled=True). Require an existing column once each release writes it."
)
MISSING_ROWS = (
    "The revisions delete these rows, or drop their table. Keep a dropped table until no release uses it, and archive it:"
    " drop_table_if_exists(..., archive=True)."
)
OTHER_VALUES = "A trigger that keeps two columns in sync is missing, or a statement overwrites newer values."
RENEW = "Let the application prepare its statements again after the upgrade: restart it, or have its pool renew connections."

STEPS = "Change the schema in steps that both releases understand."
ADVICE = {
    CACHED_PLAN: RENEW,
    "deadlock": DEADLOCK,
    "not-null constraint": REQUIRED,
    "not null constraint": REQUIRED,
    "doesn't have a default value": REQUIRED,
    "cannot be null": REQUIRED,
}
"""What to do about an error of the application, by words in its message."""


@dataclass(frozen=True)
class Missed:
    """A budget or a promise that was not kept.

    Args:
        kind: "wait", "time", "errors", "lost", "downgrade" or "traffic".
        what: What happened, in one sentence.
        why: Why.
        revision: The revision; empty if there is no single one.
        sql: The statement.
        instead: The call to write instead.
        instead_down: Its inverse.
        advice: What to know, or what to do if there is no such call.
        rule: The rule of the review that knows the statement; empty if none does.
        is_certain: Whether the rehearsal shows it; False if it could not judge that.
    """

    kind: str
    what: str
    why: str = ""
    revision: str = ""
    sql: str = ""
    instead: str = ""
    instead_down: str = ""
    advice: str = ""
    rule: str = ""
    is_certain: bool = True

    def as_json(self) -> dict[str, Any]:
        names = ("kind", "revision", "sql", "what", "why", "instead", "instead_down", "advice", "rule")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Verdict:
    """Whether the revisions can be deployed, as far as a rehearsal shows.

    Args:
        findings: What was missed, or could not be judged.
    """

    findings: tuple[Missed, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(finding.is_certain for finding in self.findings)

    @property
    def judged(self) -> bool:
        """Whether there is nothing that could not be judged."""
        return all(finding.is_certain for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        found = [finding.as_json() for finding in self.findings]
        return {"ok": self.ok, "judged": self.judged or not self.ok, "findings": found}


@dataclass(frozen=True)
class Evidence:
    """What was measured, and the budgets.

    Args:
        run: The upgrade.
        traffic: What the traffic met; None without traffic.
        compared: What the comparisons with its ledger found, by when they were made.
        back: The downgrade.
        held: How long each blocking lock would be held in production, by its statement and table.
        projected: How long each revision would take in production.
        max_wait: The longest wait that is accepted, in seconds.
        max_seconds: The longest run that is accepted, in seconds.
        found: The findings of a review, by revision: they have the calls to write instead.
    """

    run: Run
    traffic: TrafficResult | None
    compared: Mapping[str, Comparison]
    back: Back | None
    held: Mapping[tuple[int, str], Projected]
    projected: Mapping[str, Projected]
    max_wait: float
    max_seconds: float
    found: Mapping[str, Sequence[Finding]]

    def at(self, place: int | None, **parts: Any) -> Missed:
        """Return a finding about a statement, with the call to write instead."""
        if place is None:
            return Missed(**parts)
        statement = self.run.statements[place]
        known = finding_of(statement.sql, self.found.get(statement.revision, ()))
        if known is not None:
            parts |= {"instead": known.replacement or "", "instead_down": known.replacement_downgrade or ""}
            parts |= {"advice": known.advice, "rule": known.rule, "why": parts.get("why") or known.why}
        return Missed(revision=statement.revision, sql=shortened(statement.sql), **parts)


def judged(evidence: Evidence) -> Verdict:
    """Return what was missed, the worst first."""
    found = [*_lost(evidence), *_errors(evidence), *_waits(evidence), *_times(evidence), *_back(evidence)]
    return Verdict((*found, *_silent(evidence)))


# The budgets ----------------------------------------------------------------------------------------------------


def _waits(evidence: Evidence) -> Iterator[Missed]:
    reported: set[int | None] = set()
    for table, seconds in sorted(_longest(evidence, "during").items(), key=lambda one: -one[1]):
        if seconds <= evidence.max_wait:
            continue
        if _longest(evidence, "before").get(table, 0.0) > evidence.max_wait:
            yield _slow(evidence, table)
            continue
        cause = _cause(evidence, table)
        if cause not in reported:
            reported.add(cause)
            yield _waited(evidence, table, seconds, cause)
    yield from _waits_in_production(evidence, reported)


def _longest(evidence: Evidence, phase: str) -> dict[str, float]:
    """Return the longest statement of the traffic on each table, in a phase."""
    tables = evidence.traffic.phases.get(phase, {}) if evidence.traffic is not None else {}
    return {table: max(kind["longest"] for kind in kinds.values()) for table, kinds in tables.items()}


def _cause(evidence: Evidence, table: str) -> int | None:
    """Return the statement that made the application wait for a table."""
    seen = [wait for wait in evidence.run.waits if wait.table == table and not wait.by_migration]
    if seen:
        return max(seen, key=lambda wait: wait.seconds).statement
    blocking = [one for one in evidence.run.blocked if one.table in (table, FILE) and one.effect != BRIEF]
    return max(blocking, key=lambda one: one.seconds).statement if blocking else None


def _waited(evidence: Evidence, table: str, seconds: float, cause: int | None) -> Missed:
    what = f"A statement of the application on {table} took {duration_text(seconds)}; {_budget(evidence.max_wait)}."
    lock = next((one.lock for one in evidence.run.blocked if one.statement == cause and one.table == table), "")
    if cause is None:
        why = "No lock of the migration blocked it: the server was busy with the migration, or with something else."
        return Missed(WAIT, what, why)
    why = f"The statement holds {lock} on the table until its transaction ends." if lock else ""
    return evidence.at(cause, kind=WAIT, what=what, why=why)


def _slow(evidence: Evidence, table: str) -> Missed:
    return Missed(
        WAIT,
        f"Statements of the application on {table} took longer than {duration_text(evidence.max_wait)} before the upgrade"
        " began: the waits cannot be judged.",
        "The server or this machine is too slow, or busy with something else.",
        advice="Rehearse on a server that does nothing else, or with fewer writers.",
        is_certain=False,
    )


def _waits_in_production(evidence: Evidence, reported: set[int | None]) -> Iterator[Missed]:
    for (place, table), held in evidence.held.items():
        if place in reported or held.low <= evidence.max_wait:
            continue
        reported.add(place)
        effect = next(one.effect for one in evidence.run.blocked if (one.statement, one.table) == (place, table))
        yield evidence.at(
            place,
            kind=WAIT,
            what=f"With the {counted(held.rows)} of production, it would block {WHAT_WAITS[effect]} {table} for {held};"
            f" {_budget(evidence.max_wait)}.",
        )


def _times(evidence: Evidence) -> Iterator[Missed]:
    seconds = evidence.run.seconds
    total, slowest = sum(seconds.values()), max(seconds, key=seconds.__getitem__, default="")
    if total > evidence.max_seconds:
        what = f"The revisions took {duration_text(total)}; {_budget(evidence.max_seconds)}."
        yield Missed(TIME, what, f"Revision {slowest} took the longest.", slowest)
        return
    low = sum(one.low for one in evidence.projected.values())
    if low > evidence.max_seconds:
        longest = max(evidence.projected, key=lambda one: evidence.projected[one].low)
        what = f"With the rows of production the revisions would take at least {duration_text(low)};"
        yield Missed(
            TIME, f"{what} {_budget(evidence.max_seconds)}.", f"Revision {longest} takes the longest.", longest
        )


def _budget(seconds: float) -> str:
    return f"the budget is {duration_text(seconds)}"


# The promises ---------------------------------------------------------------------------------------------------


def _errors(evidence: Evidence) -> Iterator[Missed]:
    kinds: dict[tuple[str, str], list[TrafficError]] = {}
    for error in evidence.traffic.errors if evidence.traffic is not None else ():
        kinds.setdefault(error.kind, []).append(error)
    yield from map(_failed, kinds.values())


def _failed(errors: Sequence[TrafficError]) -> Missed:
    number, message = sum(error.count for error in errors), errors[0].message
    statements = list(dict.fromkeys(shortened(error.sql) for error in errors if error.sql))
    more = [f"and {len(statements) - NAMED} more"] if len(statements) > NAMED else []
    subject = "A statement" if len(statements) < 2 else f"{len(statements)} statements"
    times = "once" if number == 1 else f"{number:,} times"
    return Missed(
        ERRORS,
        f"{subject} of the application on {errors[0].table} failed {times}: {message}",
        "The release that runs now sends this while, and after, the revisions run.",
        sql="; ".join([*statements[:NAMED], *more]),
        advice=next((advice for text, advice in ADVICE.items() if text in message.lower()), STEPS),
    )


def _silent(evidence: Evidence) -> Iterator[Missed]:
    """Yield that nothing was sent, although there were tables: without them nothing can wait or be lost."""
    traffic = evidence.traffic
    if traffic is not None and not traffic.sent and evidence.run.rows:
        yield Missed(
            TRAFFIC,
            "The traffic sent no statement: waits, errors and lost writes cannot be judged.",
            " ".join(traffic.notes[:NAMED]) or "It has no statement for the tables that the revisions work on.",
            advice="Give the statements of the application by --traffic FILE, or pass --traffic none to judge the rest.",
            is_certain=False,
        )


def _lost(evidence: Evidence) -> Iterator[Missed]:
    for when, compared in evidence.compared.items():
        if compared.lost:
            yield Missed(
                LOST,
                f"{compared.lost:,} acknowledged write{' is' if compared.lost == 1 else 's are'} lost {when}.",
                "; ".join(map(_lost_text, compared.losses)),
                advice=MISSING_ROWS if all(loss.what == MISSING for loss in compared.losses) else OTHER_VALUES,
            )


def _lost_text(loss: Loss) -> str:
    place = f"{loss.table} {', '.join(map(str, loss.key))}"
    instead = f"{loss.column} is {loss.found!r} instead of {loss.expected!r}"
    return f"{place}: {instead if loss.column else loss.what}"


def _back(evidence: Evidence) -> Iterator[Missed]:
    back = evidence.back
    if back is None or back.ok:
        return
    if back.why:
        yield Missed(WAY_BACK, "The downgrade failed.", back.why)
        return
    unequal = [name for name, same in (("schema", back.same_schema), ("rows", back.same_rows)) if same is False]
    what = "The upgrade, run again after the downgrade, leads to another schema."
    if unequal:
        differ = "differs" if unequal == ["schema"] else "differ"
        what = f"After the downgrade the {' and the '.join(unequal)} {differ} from before."
    advice = (
        "Write what the downgrade lacks. If it cannot restore the schema, declare that by irreversible(...); rows, by a"
        f" comment in the revision: {ACCEPTED}"
    )
    yield Missed(WAY_BACK, what, "; ".join(back.differences[:5]), advice=advice)
