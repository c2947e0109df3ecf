"""The report of a rehearsal: one file, whole, escaped, readable without anything else."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache

import pytest
from tests.rehearse.pages import Element, parsed
from tests.rehearse.samples import FINDING, HOSTILE, SAMPLES, blocking, good, hostile

from safeops.errors import SafeOpsError
from safeops.rehearse.effects import Statement
from safeops.rehearse.impact import ALL_WAIT
from safeops.rehearse.measuring import Run
from safeops.rehearse.reports import html as report
from safeops.rehearse.reports.page import Page
from safeops.rehearse.reports.statements import MOST_STATEMENTS
from safeops.rehearse.reports.timeline import MANY, numbers_of, timeline_of
from safeops.rehearse.reports.wording import between, clean, took
from safeops.rehearse.result import Rehearsal
from safeops.rehearse.traffic import TrafficResult
from safeops.rehearse.verdict import Missed, Verdict
from safeops.rehearse.waits import Wait
from safeops.rehearse.way_back import Back

LARGEST = 1_000_000
SECTIONS = ["timeline", "findings", "production", "statements", "downgrade", "measured"]
DRAWN = ("timeline", "statements", "budgets", "phases", "samples")
"""What the pictures, which take most of the time, are drawn from."""
DOCS = "https://alembic-safeops.readthedocs.io/"


@cache
def written(name: str) -> str:
    return report.html(SAMPLES[name]())


def page_of(name: str) -> Element:
    return parsed(written(name))


def section(page: Element, name: str) -> Element:
    return next(one for one in page.all("section") if one.attributes["id"] == name)


def cells(table: Element) -> list[list[str]]:
    """Return the rows of a table, each cell with its note."""
    rows = [[cell for cell in row.parts if isinstance(cell, Element)] for row in table.all("tr")]
    return [[cell.text.replace("\N{NO-BREAK SPACE}", " ").strip() for cell in row] for row in rows[1:]]


@pytest.mark.parametrize("name", SAMPLES)
class TestEveryPage:
    def test_sections(self, name: str) -> None:
        page = page_of(name)
        assert [one.attributes["id"] for one in page.all("section")] == SECTIONS
        assert all(section(page, one).text.strip() for one in SECTIONS)
        assert [len(list(page.all(one))) for one in ("h1", "main", "title")] == [1, 1, 1]
        assert page.parts[0] == "\n" or page.parts[0].name == "html"  # type: ignore[union-attr]

    def test_needs_nothing_else(self, name: str) -> None:
        page, text = page_of(name), written(name)
        names = {one.name for one in page.elements()}
        assert not names & {"script", "img", "link", "iframe", "object", "embed", "image", "video", "base", "form", "b"}
        for element in page.elements():
            assert not element.attributes.keys() & {"src", "srcset", "xlink:href", "action", "background", "ping"}
            assert not [one for one in element.attributes if one.startswith(("on", "xmlns"))]
            href = element.attributes.get("href", "#")
            assert href.startswith("#") or (element.name == "a" and href.startswith(DOCS))
        assert not re.search(r"@import|url\((?!#)", "".join(one.text for one in page.all("style")))
        assert "default-src 'none'" in text

    def test_ids_and_references(self, name: str) -> None:
        page = page_of(name)
        ids = [one.attributes["id"] for one in page.elements() if "id" in one.attributes]
        assert len(ids) == len(set(ids))
        used = {one for element in page.elements() for one in _references(element)}
        assert used <= set(ids)

    def test_for_readers_who_cannot_see_it(self, name: str) -> None:
        page = page_of(name)
        assert next(page.all("html")).attributes["lang"] == "en"
        for picture in page.all("svg"):
            assert picture.attributes["role"] == "img" and picture.attributes["aria-label"]
        for table in page.all("table"):
            assert next(table.all("caption")).text
            head, *rows = table.all("tr")
            heads = [one.attributes.get("scope") for one in head.all("th")]
            assert set(heads) == {"col"}
            for row in rows:
                first, *others = (one for one in row.parts if isinstance(one, Element))
                assert first.attributes["scope"] == "row"
                assert {one.name for one in others} == {"td"} and len(others) == len(heads) - 1

    def test_is_small(self, name: str) -> None:
        assert len(written(name).encode()) < LARGEST


def test_is_the_same_each_time() -> None:
    assert report.html(good()) == written("good")


def _references(element: Element) -> list[str]:
    found = re.findall(r"url\(#([^)]+)\)", " ".join(element.attributes.values()))
    href = element.attributes.get("href", "")
    labels = element.attributes.get("aria-labelledby", "").split()
    return [*found, *([href[1:]] if href.startswith("#") else []), *labels]


class TestWhatItStates:
    def test_the_verdict_comes_first(self) -> None:
        page = page_of("blocking")
        assert next(page.all("h1")).text == f"{blocking()['summary']}."
        assert next(page.all("span")).text == "Not ready"
        assert next(page_of("good").all("span")).text == "Ready"
        assert (
            Page({"began": "2026-11-30T16:01:25+00:00", "server": "SQLite"}).subtitle == "SQLite · 2026-11-30 16:01 UTC"
        )

    def test_figures(self) -> None:
        states = {
            one.parts[0].text: one.attributes["class"]  # type: ignore[union-attr]
            for one in next(page_of("blocking").all("dl")).all("div")
        }
        assert states == {
            "Longest wait": "bad",
            "Failed requests": "bad",
            "Lost writes": "good",
            "Downgrade": "bad",
            "Time in production": "good",
        }
        figures = next(page_of("good").all("dl")).all("div")
        assert {one.attributes["class"] for one in figures} == {"good"}

    def test_a_headline_without_a_summary(self) -> None:
        sample = {**blocking(), "summary": None}
        assert next(parsed(report.html(sample)).all("h1")).text == f"Not ready: longest wait: {took(6.12)}."
        assert next(parsed(report.html({**good(), "summary": ""})).all("h1")).text.startswith("Ready: ")

    def test_findings_have_the_call_to_write_instead(self) -> None:
        first, second = section(page_of("blocking"), "findings").all("article")
        assert [one.text for one in first.all("pre")] == [
            "ALTER TABLE orders ALTER COLUMN total TYPE NUMERIC(14, 4)",
            blocking()["verdict"]["findings"][0]["instead"],
            "total.undo_expand()",
        ]
        assert next(second.all("a")).attributes["href"] == f"{DOCS}en/latest/rules/index-blocks-writes.html"

    def test_statements(self) -> None:
        page = page_of("blocking")
        first, second = section(page, "statements").all("table")
        assert next(first.all("caption")).text == "Upgrade of 7c1d0e5b9a42: orders get a currency"
        number, sql, blocks, locks, work, time, longest = cells(first)[2]
        assert (number, blocks, locks, time, longest) == (
            "3",
            ALL_WAIT,
            "public.orders: ACCESS EXCLUSIVE",
            "6.1 s",
            "6.1 s",
        )
        assert sql == "ALTER TABLE orders ALTER COLUMN total TYPE NUMERIC(14, 4)"
        assert work.splitlines()[0] == "rewrites public.orders"
        assert [row[0] for row in cells(second)] == ["4"]
        assert [row[0] for table in section(page, "downgrade").all("table") for row in cells(table)] == ["5", "6"]

    def test_equal_statements_are_one_row(self) -> None:
        batches = cells(next(section(page_of("good"), "statements").all("table")))[1]
        assert batches[0] == "2" and batches[4].startswith("writes 2,000,000 rows")
        assert batches[5] == "9.0 s100 times"

    def test_batches_that_differ_in_numbers_are_one_row_but_changes_of_tables_are_not(self) -> None:
        def numbers(*texts: str) -> list[int]:
            return list(numbers_of([{"sql": text} for text in texts]))

        updates = [f"UPDATE t SET a = 1 WHERE id > {n}" for n in range(MANY)]
        changes = [f"ALTER TABLE t DROP c{n}" for n in range(MANY)]
        assert numbers(*updates, "COMMIT") == [1] * MANY + [MANY + 1]
        assert numbers(*changes, changes[1]) == [*range(1, MANY + 1), 2]

    def test_what_was_not_seen_or_failed(self) -> None:
        statements = [
            {"sql": "A", "seen": "not seen", "exact": False},
            {"sql": "B", "seen": "sampled", "locks": {"t": "SHARE"}},
            {"sql": "C", "times": 400, "seconds": 9.0, "error": "disk full", "built": ["t"]},
        ]
        rows = cells(next(section(parsed(report.html({"statements": statements})), "statements").all("table")))
        first, second, third = rows
        assert first[3] == "not seen" and second[3] == "t: SHAREsampled"
        assert third[4:6] == ["builds an index of t\nfailed: disk full", "9.0 s400 times"]

    def test_a_lock_is_held_until_the_transaction_ends(self) -> None:
        first = {"sql": "A", "locks": {"t": "X"}, "effect": "all wait", "seconds": 0.1, "held_seconds": 5.0}
        sample = {
            "statements": [first, {"sql": "B", "effect": "free"}, {"sql": "C", "effect": "free"}],
            "timeline": {"statements": [[1.0, 1.1], [2.0, 4.0], [6.5, 7.0]]},
        }
        rows = cells(next(section(parsed(report.html(sample)), "statements").all("table")))
        assert [row[2] for row in rows] == ["all wait", "all waitsince statement 1", "nothing"]
        assert [row[3] for row in rows] == ["t: Xheld for 5.0 s", "no new one", "none"]

    def test_requests_of_each_table_in_each_phase(self) -> None:
        requests, _, errors = section(page_of("blocking"), "timeline").all("table")
        rows = {row[0]: row[1:] for row in cells(requests)}
        assert rows["public.orders"] == [
            "2,000,000",
            "all wait 6.1 s",
            *("6 msslowest 11 ms", "6.0 sslowest 6.1 s", "6 msslowest 11 ms", "5.1 sslowest 5.2 s"),
        ]
        assert rows["public.customers"][1] == "writes wait 2.2 s" and rows["public.order_lines"][1] == "no"
        assert cells(errors)[0][:4] == ["public.orders", "cached plan must not change result type", "0A000", "4"]

    def test_who_waited_behind_which_statement(self) -> None:
        _, waits, _ = section(page_of("blocking"), "timeline").all("table")
        assert cells(waits)[0] == [
            *("public.orders", "6.1 s", "ROW EXCLUSIVE", "statement 3"),
            "the application: UPDATE orders SET note = $1 WHERE id = $2",
        ]
        assert len(cells(waits)) == 3

    def test_downgrade(self) -> None:
        items = [one.text for one in section(page_of("blocking"), "downgrade").all("li")]
        assert items[:2] == ["The schema is the same as before the upgrade.", "The rows are different from before."]
        assert items[4] == blocking()["back"]["differences"][0]

    def test_production_and_how_it_was_measured(self) -> None:
        page = page_of("blocking")
        row = cells(next(section(page, "production").all("table")))[0]
        assert row == ["7c1d0e5b9a42", "6.4 s", "31,000,000", "74 to 118 s"]
        facts = section(page, "measured").text
        assert "PostgreSQL 18.1" in facts and "Each statement of the migration was followed" in facts
        assert "8,040,000 rows in 3 tables" in facts and "412 MB" in facts


class TestMissingData:
    @pytest.mark.parametrize("key", [*blocking(), "phases", "samples"])
    def test_each_part_can_be_missing(self, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if key not in DRAWN:
            monkeypatch.setattr(report, "_pictures", lambda *_: None)
        sample = blocking()
        for holder in (sample, sample["timeline"], *sample["timeline"]["tables"].values()):
            holder.pop(key, None)
        assert [one.attributes["id"] for one in parsed(report.html(sample)).all("section")] == SECTIONS

    def test_each_part_can_be_null(self) -> None:
        page = parsed(report.html(dict.fromkeys(blocking())))
        assert [one.attributes["id"] for one in page.all("section")] == SECTIONS

    def test_no_traffic(self) -> None:
        text = parsed(report.html({**blocking(), "traffic": None, "timeline": None})).text
        assert "not measured" in text and "There was no traffic" in text

    def test_no_way_to_downgrade(self) -> None:
        page = parsed(report.html({**blocking(), "back": {"why": "r1 declares that it cannot be undone"}}))
        assert "r1 declares that it cannot be undone." in section(page, "downgrade").text

    def test_a_downgrade_that_failed_or_cannot_be(self) -> None:
        for back, value, state in (
            ({"why": "it failed"}, "failed", "bad"),
            ({"irreversible": True, "why": "r1 is irreversible"}, "irreversible", "unknown"),
            ({"same_schema": True, "same_rows": True, "again_same": False}, "differs", "bad"),
            ({"same_schema": True, "same_rows": None, "again_same": True}, "restores the schema", "unknown"),
        ):
            figure = Page({"back": back}).figures[3]
            assert (figure.value, figure.state) == (value, state)

    def test_what_was_not_judged_is_not_called_safe(self) -> None:
        page = parsed(report.html({**good(), "verdict": {"ok": True, "judged": False}}))
        assert next(page.all("span")).text == "Not certain"
        assert section(page, "findings").text.strip().endswith("The revisions were not judged.")


class TestHostileNames:
    def test_each_text_arrives_as_text(self) -> None:
        page = page_of("hostile")
        shown = clean(HOSTILE)
        assert next(page.all("h1")).text == f"{shown}."
        finding = next(page.all("article"))
        assert [shown in one.text for one in finding.elements() if one.name in ("h3", "code")] == [True] * 4
        assert all(shown in row[0] for row in cells(next(page.all("table"))))
        assert not list(finding.all("a")), "a rule with another name than rules have is not linked"
        assert len(FINDING) == 7

    def test_pictures_have_names_as_text(self) -> None:
        names = [one.text for picture in page_of("hostile").all("svg") for one in picture.all("text")]
        assert any(name.startswith("</script><script>alert(1)</script>") for name in names)

    def test_nothing_that_a_page_cannot_contain(self) -> None:
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff]", written("hostile"))
        written("hostile").encode()

    def test_thousands_of_statements_leave_out_the_least(self) -> None:
        sample = hostile(tables=3, statements=3000)
        sample["statements"][1234]["effect"] = "writes wait"
        text = report.html(sample)
        assert len(text.encode()) < LARGEST
        table = next(section(parsed(text), "statements").all("table"))
        assert len(cells(table)) == MOST_STATEMENTS and "1235" in [row[0] for row in cells(table)]
        assert f"{3000 - MOST_STATEMENTS:,} more statements" in section(parsed(text), "statements").text


class TestTimeline:
    def test_the_window_is_that_of_the_statements(self) -> None:
        up, down = timeline_of(blocking()), timeline_of(blocking(), "down")
        assert up and down
        assert 8 < up.window[0] < 10.1 and 18.8 < up.window[1] < 21
        assert [mark.number for mark in down.marks] == [5, 6]
        assert [lane.name for lane in up.lanes] == ["public.orders", "public.customers", "public.order_lines"]

    def test_a_request_is_slow_while_it_waits(self) -> None:
        up = timeline_of(blocking())
        assert up
        slowest = up.lanes[0].slowest_by_time((11.0, 16.0), 10)
        assert min(slowest) > 1.0

    def test_durations(self) -> None:
        said = [took(one).replace("\N{NO-BREAK SPACE}", " ") for one in (0, 0.0004, 0.038, 0.5, 6.12, 74, 600, 9000)]
        assert said == ["0 ms", "under 1 ms", "38 ms", "500 ms", "6.1 s", "74 s", "10 min", "2.5 h"]
        assert between(74, 118) == f"74 to {took(118)}" and between(74, 900) == f"{took(74)} to {took(900)}"


class TestColours:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_texts_are_readable(self, theme: str) -> None:
        themes = re.findall(r":root \{([^}]*--ground[^}]*)\}", (report.HERE / "report.css").read_text())
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", themes[theme == "dark"]))
        for name in ("ink", "quiet", "link", "good", "bad", "writes-wait", "all-wait"):
            for ground in ("ground", "band") if name in ("ink", "quiet", "writes-wait", "all-wait") else ("ground",):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for badge in ("good", "bad", "unknown"):
            assert _contrast(colours["on-badge"], colours[badge]) >= 4.5, badge
        for shape in ("brief", "latency"):
            assert _contrast(colours[shape], colours["ground"]) >= 2, shape


def _contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class TestMatplotlib:
    def test_it_is_imported_only_for_a_report(self) -> None:
        code = "import sys, safeops.rehearse.reports.html; sys.exit('matplotlib' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_without_it_the_error_has_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(SafeOpsError, match=r"matplotlib.*(?s:.*)pip install 'alembic-safeops\[report\]'"):
            report.html(good())


def test_the_samples_have_no_key_that_a_rehearsal_does_not_print() -> None:
    statement = Statement("r1", "up", "SELECT 1", 0.0)
    run = Run((), (statement,), waits=(Wait(0.0, 1.0, "t", "SHARE", "SELECT 1"),))
    traffic = TrafficResult(1, 1, (), 0.1, "", {"during": {}}, {"t": [(0.0, 0.1)]}, ())
    printed = Rehearsal((), Verdict((Missed("wait", "waited"),)), run=run, traffic=traffic, back=Back()).as_json()
    sample = blocking()
    assert sample.keys() <= printed.keys()
    assert sample["statements"][0].keys() <= printed["statements"][0].keys()
    assert sample["verdict"]["findings"][0].keys() <= printed["verdict"]["findings"][0].keys()
    for part in ("traffic", "back", "budgets", "copy", "timeline"):
        assert sample[part].keys() <= printed[part].keys(), part
    assert sample["waits"][0].keys() <= printed["waits"][0].keys()
    assert sample["timeline"]["tables"]["public.orders"].keys() == printed["timeline"]["tables"]["t"].keys()
    assert "not seen" in parsed(report.html(printed)).text
