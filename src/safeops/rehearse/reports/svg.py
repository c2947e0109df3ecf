"""A figure of matplotlib as an element of an HTML page: no references to elsewhere, no ids twice, colours by variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBER = re.compile(r"\d+\.\d+")
_FAMILY = re.compile(r" ?font-family: [^;]*;?")
_NAMESPACE = re.compile(r"\{[^}]*\}")
WITH_NUMBERS = frozenset({"d", "x", "y", "transform", "width", "height", "points"})


def element_of(figure: Figure, variables: Mapping[str, str], css_class: str, description: str) -> str:
    """Return the figure as ``<svg>``.

    Args:
        figure: What is drawn.
        variables: For each colour that it was drawn with, the value to write instead, such as "var(--ink)".
        css_class: Its class on the page.
        description: What it shows, in words.
    """
    file = StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(file.getvalue())
    for element in root.iter():
        _for_page(element, variables)
    for definitions in root.findall("defs"):
        for style in definitions.findall("style"):
            definitions.remove(style)
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib.update(
        {"class": css_class, "width": width, "height": height, "role": "img", "aria-label": description},
    )
    root.attrib.pop("version", None)
    return ElementTree.tostring(root, encoding="unicode")


def _for_page(element: ElementTree.Element, variables: Mapping[str, str]) -> None:
    element.tag = _NAMESPACE.sub("", element.tag)
    attributes = {_NAMESPACE.sub("", name): value for name, value in element.attrib.items()}
    if element.tag == "g":
        attributes.pop("id", None)
    if "style" in attributes:
        attributes["style"] = _in_variables(_FAMILY.sub("", attributes["style"]), variables)
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    for name in WITH_NUMBERS & attributes.keys():
        attributes[name] = _NUMBER.sub(_rounded, " ".join(attributes[name].split()))
    element.attrib.clear()
    element.attrib.update(attributes)
    # Indentation between elements.
    if not (element.text or "").strip():
        element.text = None
    element.tail = None


def _in_variables(style: str, variables: Mapping[str, str]) -> str:
    for colour, value in variables.items():
        style = style.replace(colour, value)
    return style


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
