"""Writes the pages of the rules in docs/rules, from the data of the rules and the truths about each database.

python -m tests.docs.rule_pages
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from safeops.databases import database_for
from safeops.homes import HOME_OF
from safeops.judging.finding import BRIEF, NOTE, UNSAFE
from safeops.judging.replacements.replacement import names_called
from safeops.judging.rules import RULES, Rule
from safeops.judging.server import JudgedServer
from safeops.judging.truths import LONG, ROWS, Effect, Truth
from tests.docs.pages import DOCS

FOLDER = DOCS / "rules"
DIALECTS = {"PostgreSQL": "postgresql", "MariaDB": "mariadb", "MySQL": "mysql", "SQLite": "sqlite"}
VERDICTS = {
    UNSAFE: ("Unsafe", "these block the application, break it, or lose data; the guard refuses them"),
    BRIEF: ("Brief", "a strong lock for milliseconds: safe with a lock timeout, which the guard sets"),
    NOTE: ("Notes", "worth knowing; these never fail a pipeline"),
}
ON_TABLE = {"table": "", "other": " on the other table", "index": " on the index"}


def pages() -> dict[str, str]:
    """Return each page by the name of its file."""
    return {"index.md": _index(), **{f"{rule.name}.md": _page(rule) for rule in RULES.values()}}


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


# The list ----------------------------------------------------------------------------------------------------------------


def _index() -> str:
    parts = [
        "# Rules\n",
        _prose(
            "`safeops review`, `safeops check` and [the guard](../how-to/guard.md) judge plain `op` calls and SQL by these"
            " rules. Each finding names its rule. To accept a finding, put a comment with a reason on the statement or"
            " above it. A comment without a reason or without a finding is reported too:"
        ),
        '```python\nop.create_index("ix_flags", "flags", ["name"])  # safeops: allow index-blocks-writes -- 40 rows\n```\n',
    ]
    for verdict, (title, meaning) in VERDICTS.items():
        rules = [rule for rule in RULES.values() if rule.verdict == verdict]
        parts += [f"## {title}\n", f"{meaning[0].upper()}{meaning[1:]}.\n", "| rule | problem |\n|---|---|"]
        parts += [*(f"| [{rule.name}]({rule.name}.md) | {rule.title} |" for rule in rules), ""]
    listed = "\n".join(RULES)
    return "\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"])


# One page -----------------------------------------------------------------------------------------------------------------


def _page(rule: Rule) -> str:
    return "\n".join([f"# {rule.title}\n", _prose(rule.why), *_sections(rule)])


def _verdict(rule: Rule) -> str:
    return {UNSAFE: "**unsafe**", BRIEF: "**brief**", NOTE: "**note**"}[rule.verdict]


def _prose(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 134, break_long_words=False, break_on_hyphens=False)) + "\n"


def _sections(rule: Rule) -> Iterator[str]:
    yield _prose(f"Rule `{rule.name}` ({_verdict(rule)}) finds {rule.catches[0].lower()}{rule.catches[1:]}")
    if rule.bad:
        yield f"## Not this\n\n```python\n{rule.bad}\n```\n"
    yield f"## Do this\n\n{_prose(rule.instead)}"
    if rule.good:
        yield f"```python\n{_with_imports(rule.good)}\n```\n"
    if rule.undo:
        yield f"In `downgrade()`:\n\n```python\n{rule.undo}\n```\n"
    yield from _on_each_database(rule)
    yield "To accept a finding, see [all rules](index.md).\n"


def _with_imports(code: str) -> str:
    names = [name for name in names_called(code) if name in HOME_OF]
    return f"from safeops import {', '.join(names)}\n\n{code}" if names else code


# The truths about each database ------------------------------------------------------------------------------------------


def _on_each_database(rule: Rule) -> Iterator[str]:
    rows: dict[tuple[str, ...], list[str]] = {}
    for product, name in DIALECTS.items():
        for cells in _rows(rule, product, name):
            rows.setdefault(cells, []).append(product)
    if rows:
        yield "## On each database\n"
        yield "| | statement | lock | work | found | because | measured on |\n|---|---|---|---|---|---|---|"
        yield from (f"| {' | '.join((', '.join(products), *cells))} |" for cells, products in rows.items())
        yield ""


def _rows(rule: Rule, product: str, name: str) -> Iterator[tuple[str, ...]]:
    database = database_for(sa.URL.create(name).get_dialect()(), None)
    if not JudgedServer.serves(database):
        return
    server = JudgedServer.of(database)
    truths = [truth for truth in server.truths if truth.kind in rule.kinds and not _is_requested(truth)]
    for truth in sorted(truths, key=lambda truth: (rule.kinds.index(truth.kind), _conditions(truth))):
        if not truth.products or product in truth.products:
            yield tuple(_cells(rule, truth, server))


def _is_requested(truth: Truth) -> bool:
    """Return whether only a statement that requests an algorithm or a lock is done so."""
    return any(word.startswith(("algorithm ", "lock ")) for word in truth.when)


def _cells(rule: Rule, truth: Truth, server: JudgedServer) -> Iterator[str]:
    yield f"{truth.kind}{_conditions(truth)}"
    yield "; ".join(f"{effect.lock or 'none'}{_on(effect)}" for effect in truth.effects) or "none"
    yield "; ".join(dict.fromkeys(effect.work for effect in truth.effects)) or "nothing"
    yield "yes" if _is_caught(rule, truth, server) else ""
    yield truth.why
    yield ", ".join(truth.measured) or (f"documented: {truth.source}" if truth.source else "not measured")


def _on(effect: Effect) -> str:
    return ON_TABLE.get(effect.on, f" on the {effect.on}")


def _conditions(truth: Truth) -> str:
    unless = [word for word in sorted(truth.unless) if not word.startswith(("algorithm ", "lock "))]
    words = [*sorted(truth.when), *(f"not {word}" for word in unless)]
    words += [f"from {'.'.join(map(str, truth.since))}"] if truth.since else []
    words += [f"before {'.'.join(map(str, truth.before))}"] if truth.before else []
    return f": {', '.join(words)}" if words else ""


def _is_caught(rule: Rule, truth: Truth, server: JudgedServer) -> bool:
    if truth.rule:
        return truth.rule == rule.name
    if rule.verdict == BRIEF:
        return any(server.blocks(one.lock) != "nothing" for one in truth.effects)
    works: list[Any] = [one for one in truth.effects if one.work in LONG and server.blocks(one.lock) != "nothing"]
    return rule.verdict == UNSAFE and any(one.work != ROWS for one in works)


if __name__ == "__main__":
    write()
