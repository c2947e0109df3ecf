"""``python -m tests.docs.search_index BUILT`` checks that the search of the built site finds each error.

By its code, by its class, and by the words that people type.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import snowballstemmer

QUERIES = {
    "lock timeout": "errors/S401",
    "permission denied": "errors/S402",
    "disk full": "errors/S402",
    "connect server": "errors/S403",
    "foreign key violate": "errors/S501",
    "duplicate unique": "errors/S502",
    "different definition": "errors/S201",
    "backfill interrupted": "errors/S603",
    "health check failed": "errors/S706",
    "rename column downtime": "how-to/rename-column",
    "add null column large table": "how-to/required-column",
    "add index blocking writes": "how-to/add-index",
    "foreign key downtime": "how-to/foreign-key",
    "backfill large table batches": "how-to/backfill",
    "kubernetes pods": "how-to/several-runners",
    "schema version startup": "how-to/require-current",
    "back up restore": "how-to/back-up",
    "enum add value": "how-to/enum",
    "github actions": "how-to/check-in-ci",
    "stable deprecation": "reference/stability",
    "table of locks": "reference/locks",
}
_stem = snowballstemmer.stemmer("english").stemWord


def found(index: dict[str, Any], query: str) -> set[str]:
    """Return the pages that have each word of a query in their title or their text."""
    pages = set(index["docnames"])
    for word in re.findall(r"\w{3,}", query.lower()):
        numbers: set[int] = set()
        for terms in (index["titleterms"], index["terms"]):
            place = terms.get(_stem(word), [])
            numbers.update(place if isinstance(place, list) else [place])
        pages &= {index["docnames"][number] for number in numbers}
    return pages


def missed(built: Path) -> list[str]:
    """Return each query that does not find its page."""
    text = (built / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    queries = dict(QUERIES)
    for page, title in zip(index["docnames"], index["titles"], strict=True):
        if error := re.match(r"(S\d{3}) (\w+): ", title):
            queries |= {error[1]: page, error[2]: page}
    assert len(queries) > 2 * 25, "the pages of the errors are missing"
    return [f"{query}: does not find {page}" for query, page in queries.items() if page not in found(index, query)]


if __name__ == "__main__":
    sys.exit("\n".join(missed(Path(sys.argv[1]))) or 0)
