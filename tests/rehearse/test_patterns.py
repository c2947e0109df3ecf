"""Texts that match a pattern."""

from __future__ import annotations

import re
from itertools import product

import pytest

from safeops.rehearse.patterns import places_of, places_of_like

READ = (
    r"^[A-Z]{3}-[0-9]{4}$",
    r"^ORD-[0-9]+$",
    r"^[a-z0-9]+(-[a-z0-9]+)*$",
    r"^\+[1-9][0-9]{6,14}$",
    r"^(a|b)x?$",
    r"^\d{4}-\d\d$",
    r"^[^@]+@[^@]+$",
    r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
    r"^#[0-9a-fA-F]{6}$",
    r"(?:v)\d",
)


@pytest.mark.parametrize("pattern", READ)
def test_each_text_matches(pattern: str) -> None:
    places = places_of(pattern)
    assert places
    for chosen in product(*({one[0], one[-1]} for one in places[:8])):
        text = "".join(chosen) + "".join(one[0] for one in places[8:])
        assert re.search(pattern, text)


def test_classes_by_name() -> None:
    assert places_of("^[[:digit:]_]$") == ["0123456789_"]


@pytest.mark.parametrize("pattern", ["^a(b$", "[", "a{", "*", ""])
def test_what_is_not_read(pattern: str) -> None:
    assert places_of(pattern) is None


def test_like() -> None:
    places = places_of_like("a_%")
    assert places and places[0] == "a" and len(places) > 2
    assert places_of_like("abc") is None
