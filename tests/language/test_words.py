"""No prose of the project has a word of the list: readers look for the field's own words."""

from __future__ import annotations

import pytest

from tests.language.prose import ROOT, Passage, passages
from tests.language.words import INSTEAD, avoided

PROSE = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "src",
    "examples",
    "findings",
    "tests",
    ".ci",
)


@pytest.mark.parametrize("place", PROSE)
def test_prose_uses_the_words_of_the_field(place: str) -> None:
    read, found = 0, []
    for passage in passages([ROOT / place]):
        read += 1
        found += [f"{_line(passage, at)}: {word!r}: write {instead}" for at, word, instead in avoided(passage.text)]
    assert read, f"no prose in {place}"
    assert not found, "\n".join(found[:50])


def _line(passage: Passage, place: int) -> str:
    return f"{passage.path}:{passage.line + passage.text.count(chr(10), 0, place)}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What stands is kept.", ["stands"]),
        ("It goes\non meanwhile.", ["goes", "goes on", "meanwhile"]),
        ("SELECT 1 WHERE true", []),
        ("Whatever it is, nobody\nhas to wait", ["Whatever", "has to", "nobody"]),
        ("understanding a standard, outside", []),
    ],
)
def test_the_list_finds_words_and_no_parts_of_words(text: str, words: list[str]) -> None:
    assert sorted({" ".join(word.split()) for _, word, _ in avoided(text)}, key=str.lower) == sorted(
        words, key=str.lower
    )


def test_each_word_has_a_replacement() -> None:
    assert all(INSTEAD.values())
