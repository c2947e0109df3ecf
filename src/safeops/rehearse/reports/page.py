"""What the report states: the verdict, the figures, the findings, the downgrade and how it was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from safeops.planned import counted, size_text
from safeops.rehearse.reports.tables import Table
from safeops.rehearse.reports.wording import between, clean, shortened, took
from safeops.review.reports.words import page_of, sentence

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
KINDS = {"filled": "a copy filled with generated rows", "backup": "a restored backup", "as is": "a database as it was"}
_TIME = re.compile(r"^(\S+)T(\d\d:\d\d)\S*(?:\+00:00|Z)$")
_RULE = re.compile(r"[a-z][a-z-]*")


@dataclass(frozen=True)
class Figure:
    """One result: its state is good, bad or unknown."""

    label: str
    value: str
    note: str
    state: str


@dataclass(frozen=True)
class Finding:
    """What is wrong, and the code to write instead, each with its place."""

    revision: str
    what: str
    why: str
    sql: str
    instead: list[tuple[str, str]]
    advice: str
    page: str


class Page:
    """The texts of the report about one rehearsal."""

    def __init__(self, rehearsal: Mapping[str, Any]) -> None:
        self.data = rehearsal
        self.verdict: Mapping[str, Any] = rehearsal.get("verdict") or {}
        self.traffic: Mapping[str, Any] = rehearsal.get("traffic") or {}
        self.budgets: Mapping[str, Any] = rehearsal.get("budgets") or {}

    # Headline ---------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        if self.verdict.get("judged") is False or "ok" not in self.verdict:
            return UNKNOWN
        return GOOD if self.verdict["ok"] else BAD

    @property
    def badge(self) -> str:
        return {GOOD: "Ready", BAD: "Not ready", UNKNOWN: "Not certain"}[self.state]

    @property
    def headline(self) -> str:
        return sentence(clean(self.data.get("summary") or self._headline()))

    def _headline(self) -> str:
        if self.state == UNKNOWN:
            return "The rehearsal could not judge these revisions"
        problems = [figure for figure in self.figures if figure.state == BAD]
        if self.state == BAD:
            first = problems[0] if problems else None
            return f"Not ready: {first.label.lower()}: {first.value}" if first else "Not ready"
        return "Ready: no request waited too long, none failed, and no row was lost"

    @property
    def subtitle(self) -> str:
        revisions = self.data.get("revisions") or ()
        names = [one.get("revision", "") if isinstance(one, Mapping) else str(one) for one in revisions]
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        which = f"Revision{'s' * (len(names) != 1)} {listed}" if names else ""
        began = _TIME.sub(r"\1 \2 UTC", str(self.data.get("began") or ""))
        parts = [which, self.data.get("server"), began]
        return " · ".join(clean(part) for part in parts if part)

    # Figures ----------------------------------------------------------------------------------------------------

    @property
    def figures(self) -> list[Figure]:
        return [self._wait(), self._failed(), self._lost(), self._downgrade(), self._duration()]

    def _wait(self) -> Figure:
        budget, longest = self.budgets.get("max_wait"), self.traffic.get("longest_wait")
        note = f"budget {took(budget)}" if budget is not None else "no budget was set"
        if longest is None:
            return Figure("Longest wait", "not measured", note, UNKNOWN)
        return Figure("Longest wait", took(longest), note, _within(longest, budget))

    def _failed(self) -> Figure:
        label = "Failed requests"
        if not self.traffic:
            return Figure(label, "not measured", "there was no traffic", UNKNOWN)
        failed = sum(error.get("count", 1) for error in self.traffic.get("errors") or ())
        sent = f"of {self.traffic.get('writes') or 0:,} writes and {self.traffic.get('reads') or 0:,} reads"
        return Figure(label, f"{failed:,}" if failed else "none", sent, BAD if failed else GOOD)

    def _lost(self) -> Figure:
        lost = self.traffic.get("lost")
        if lost is None:
            return Figure("Lost writes", "not measured", "there was no traffic", UNKNOWN)
        if self.traffic.get("compared_rows") == 0:
            return Figure("Lost writes", "not compared", "no writes are in the ledger", UNKNOWN)
        note = "of those acknowledged"
        return Figure("Lost writes", f"{lost:,}" if lost else "none", note, BAD if lost else GOOD)

    def _downgrade(self) -> Figure:
        back = self.data.get("back")
        if not back:
            return Figure("Downgrade", "not rehearsed", "", UNKNOWN)
        if back.get("irreversible"):
            return Figure("Downgrade", "irreversible", "as the revisions declare", UNKNOWN)
        if back.get("why"):
            return Figure("Downgrade", "failed", "the reason is below", BAD)
        names = {"same_schema": "schema", "same_rows": "rows", "again_same": "second upgrade"}
        wrong = [name for key, name in names.items() if back.get(key) is False]
        if wrong:
            return Figure("Downgrade", "differs", f"not as before: {', '.join(wrong)}", BAD)
        if back.get("same_rows", True) is None:
            return Figure("Downgrade", "restores the schema", "rows were not compared", UNKNOWN)
        return Figure("Downgrade", "restores all", f"in {took(back.get('seconds') or 0)}", GOOD)

    def _duration(self) -> Figure:
        budget = self.budgets.get("max_seconds")
        note = f"budget {took(budget)}" if budget is not None else "no budget was set"
        sizes = [one for one in (self.data.get("at_production_size") or {}).values() if isinstance(one, Mapping)]
        if not sizes:
            return Figure("Time in production", "not known", "production's row counts were not given", UNKNOWN)
        whole = {key: sum(one.get(key) or 0 for one in sizes) for key in ("low", "high")}
        return Figure("Time in production", between(whole["low"], whole["high"]), note, _within(whole["high"], budget))

    # Sections ---------------------------------------------------------------------------------------------------

    @property
    def findings(self) -> list[Finding]:
        return [self._finding(one) for one in self.verdict.get("findings") or ()]

    @property
    def nothing_found(self) -> str:
        return "The revisions were not judged." if self.state == UNKNOWN else "Nothing was found."

    def _finding(self, one: Mapping[str, Any]) -> Finding:
        places = (("In upgrade(), write instead", "instead"), ("In downgrade()", "instead_down"))
        rule = str(one.get("rule") or "")
        return Finding(
            clean(one.get("revision") or ""),
            sentence(clean(one.get("what") or "")),
            sentence(clean(one["why"])) if one.get("why") else "",
            shortened(clean(one.get("sql") or ""), 2000),
            [(place, clean(one[key])) for place, key in places if one.get(key)],
            sentence(clean(one["advice"])) if one.get("advice") else "",
            page_of(rule) if _RULE.fullmatch(rule) else "",
        )

    @property
    def downgrade(self) -> list[str]:
        """How the downgrade ended, in sentences."""
        return [sentence(clean(text)) for text in self._downgrade_texts()]

    def _downgrade_texts(self) -> Iterator[str]:
        back = self.data.get("back") or {"why": "The downgrade was not rehearsed"}
        if back.get("irreversible"):
            yield "The revisions declare that they cannot be undone"
        if back.get("why"):
            yield back["why"]
        if back.get("why") or back.get("irreversible"):
            return
        for name in ("schema", "rows"):
            same = back.get(f"same_{name}")
            yield f"The {name} {'is' if name == 'schema' else 'are'} " + (
                "not compared"
                if same is None
                else "the same as before the upgrade"
                if same
                else "different from before"
            )
        if back.get("seconds") is not None:
            yield f"The downgrade took {took(back['seconds'])}"
        if back.get("again_same") is not None:
            yield "A second upgrade ended " + ("like the first" if back["again_same"] else "differently from the first")

    @property
    def differences(self) -> list[str]:
        return [clean(one) for one in (self.data.get("back") or {}).get("differences") or ()]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """How it was measured."""
        return [(clean(label), clean(text)) for label, text in self._facts() if text]

    def _facts(self) -> Iterator[tuple[str, str]]:
        copy = self.data.get("copy") or {}
        yield "Database", str(self.data.get("server") or "")
        yield "Copy", KINDS.get(copy.get("kind", ""), copy.get("kind") or "")
        rows = copy.get("rows") or {}
        yield "Rows", f"{counted(sum(rows.values()))} in {len(rows):,} tables" if rows else ""
        yield "Traffic", self._sent()
        for label, key in (("Disk used", "disk_bytes"), ("Temporary files", "temporary_bytes")):
            yield label, size_text(self.data[key]) if (self.data.get(key) or 0) > 0 else ""
        yield "How", " ".join(sentence(str(text)) for text in self.data.get("measured") or ())
        yield (
            "Not covered",
            " ".join(sentence(str(note)) for key in ("notes", "not_compared") for note in self.traffic.get(key) or ()),
        )
        yield "safeops", str(self.data.get("safeops") or "")

    def _sent(self) -> str:
        if not self.traffic:
            return "none: the waits of the application were not measured"
        return f"{self.traffic.get('writes') or 0:,} writes and {self.traffic.get('reads') or 0:,} reads"


def _within(value: float, budget: float | None) -> str:
    return UNKNOWN if budget is None else GOOD if value <= budget else BAD


def shown(*tables: Table | None) -> list[Table]:
    """Return the tables that have rows."""
    return [table for table in tables if table is not None]
