"""In each unsafe revision of the key, the replacements are inserted: it ends in the same schema."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config
from tests.catalogue import difference, unordered
from tests.review import keys
from tests.servers import Database, PostgreSQL
from tests.whole import sample

import safeops
from safeops.databases import database_for
from safeops.judging.finding import UNSAFE, Finding
from safeops.judging.judge import Judge
from safeops.judging.server import Session
from safeops.review.offline import environment_of
from safeops.review.replay import Replay

ENDS_ELSEWHERE = {
    "k008": "a stored column cannot be added without a rewrite",
    "k011": "a domain with rules cannot either",
    "k051": "the sequence of a key gets the type of its column too",
    "k066": "the sequence of a key gets the type of its column too",
    "k075": "the rows have NULL, which is told before anything is changed",
    "k088": "indexes of partitions have names of their own",
    "k135": "two backfills of one column in one revision need names",
    "k164": "the calls of a batch are one statement",
    "k176": "a savepoint cannot be committed",
    "k214": "the table is not there",
    "m008": "a stored column cannot be added without a rewrite",
    "m009": "a domain with rules cannot either",
    "m011": "a domain with rules cannot either",
    "m026": "the sequence of a key gets the type of its column too",
    "m112": "the line is in a class of its own",
    "m131": "a stored column cannot be added without a rewrite",
    "r011": "a domain with rules cannot be added without a rewrite",
    "r049": "no server takes a value of an enum back",
}
"""Why a revision ends in another schema, or not at all."""


@pytest.mark.whole
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [pytest.param("pg15", marks=pytest.mark.exhaustive), "pg18"])
def test_what_is_put_in_place_ends_in_the_same_schema(servers: Any, name: str, tmp_path: Path) -> None:
    server = servers(name)
    filled = keys.Filled(server, tmp_path / "base")
    wrong = {}
    for file, text in sample([*replaced(tmp_path / "all")], 20):
        revision = Path(file).name[:4]
        with filled.copied() as plain, filled.copied() as safe:
            if ran(tmp_path / revision / "plain", file, plain) is not None:
                continue
            failed = ran(tmp_path / revision / "safe", file, safe, text)
            found = failed or difference(schema_of(plain, server), schema_of(safe, server))
        if found and revision not in ENDS_ELSEWHERE:
            wrong[file] = str(found)
    assert wrong == {}


def replaced(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file of the key that has something to put in place, with the text that has it."""
    environment = environment_of(Config(keys.project(folder, ["*"])))
    scripts = [script for script in environment.script.walk_revisions() if script.revision != keys.BASE]
    for script, schema, recording in Replay(environment, scripts):
        judge = Judge(database_for(environment.dialect, None), schema, Session("psycopg"))
        found = [one for event in recording.events for one in judge.judge(event)]
        unsafe = [one for one in found if one.verdict == UNSAFE and one.replacement]
        own = [one for one in unsafe if one.place is not None and Path(one.place.file).samefile(script.path)]
        text = with_replacements(Path(script.path).read_text(), own)
        # What another module does is not the revision's to change.
        if text is not None and own and len(own) == len(unsafe):
            yield f"revisions/{Path(script.path).name}", text


def with_replacements(source: str, findings: list[Finding]) -> str | None:
    """Replace the statements that findings are about; None if one is a block."""
    lines, tree = source.splitlines(), ast.parse(source)
    spans: dict[tuple[int, int, int], list[str]] = {}
    for finding in findings:
        assert finding.place is not None
        span = _statement(tree, finding.place.line)
        if span is None:
            return None
        if finding.replacement not in spans.setdefault(span, []):
            spans[span].append(str(finding.replacement))
    for (first, last, indent), codes in sorted(spans.items(), reverse=True):
        lines[first - 1 : last] = textwrap.indent("\n".join(codes), " " * indent).splitlines()
    after = next(place for place, line in enumerate(lines) if line.startswith(("import ", "from ")))
    lines.insert(
        after + 1, f"import sqlalchemy as sa\nfrom alembic import op\nfrom safeops import {', '.join(safeops.__all__)}"
    )
    return "\n".join(lines) + "\n"


def _statement(tree: ast.AST, line: int) -> tuple[int, int, int] | None:
    """Return the lines of the simple statement that a line belongs to, and its indentation."""
    blocks = (ast.FunctionDef, ast.With, ast.For, ast.If, ast.While, ast.Try)
    own = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not isinstance(node, blocks)]
    found = next((node for node in own if node.lineno <= line <= (node.end_lineno or node.lineno)), None)
    return None if found is None else (found.lineno, found.end_lineno or found.lineno, found.col_offset)


def ran(folder: Path, file: str, url: sa.URL, text: str | None = None) -> Exception | None:
    """Run a revision of the key, with another text if there is one, and return what it raised."""
    ini = keys.project(folder, [file], url.render_as_string(hide_password=False))
    path = folder / "migrations/versions" / Path(file).name
    if text is not None:
        path.write_text(text)
    revision = re.search(r"^revision = \"(\w+)\"", path.read_text(), re.MULTILINE)
    assert revision is not None
    try:
        keys.upgrade(ini, revision[1])
    except Exception as error:
        return error
    return None


def schema_of(url: sa.URL, server: PostgreSQL) -> str:
    """The definitions, without what safeops keeps: archives, and notes on indexes."""
    lines = unordered(Database(url, server)).splitlines()
    return "\n".join(line for line in lines if not re.search("safeops", line))
