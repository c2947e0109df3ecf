"""The text of a statement with question marks for the placeholders that a parser takes for something else."""

from __future__ import annotations

from itertools import pairwise

from safeops.judging.words import Reader, Word


def without_placeholders(reader: Reader) -> str:
    """Return the rest of the text with ``?`` in the place of ``%s`` and ``%(name)s``."""
    words, pieces, place = reader.rest, [], 0
    end = words[0].start if words else 0
    while place < len(words):
        used, text = _placeholder(words[place : place + 5])
        if used:
            pieces += [reader.sql[end : words[place].start], text]
            end = words[place + used - 1].end
        place += used or 1
    return "".join([*pieces, reader.sql[end : words[-1].end if words else 0]])


def _placeholder(ahead: list[Word]) -> tuple[int, str]:
    """Return how many words a placeholder is, and what to write for it; 0 if none is there."""
    texts = [word.text for word in ahead]
    if texts[0] != "%" or ahead[0].kind != "sign":
        return 0, ""
    touching = [one.end == other.start for one, other in pairwise(ahead)]
    if texts[1:2] == ["s"] and touching[:1] == [True]:
        return 2, "?"
    if texts[1:2] == ["("] and texts[3:5] == [")", "s"] and all(touching[:4]):
        return 5, "?"
    return 0, ""
