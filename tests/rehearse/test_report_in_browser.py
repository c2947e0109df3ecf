"""The report in a real browser, if there is one: on a screen, on a telephone, light and dark, and printed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.rehearse.samples import SAMPLES

from safeops.rehearse.reports.html import html as report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
# In Blink, 0 is dark and 1 is light.
THEMES = {"dark": 0, "light": 1}
GROUNDS = {"dark": "rgb(13, 17, 23)", "light": "rgb(255, 255, 255)"}
MEASURE = """
const shown = one => getComputedStyle(one).display !== "none";
const pictures = [...document.querySelectorAll("svg")].filter(shown);
const outside = pictures.flatMap(picture => [...picture.querySelectorAll("text")].filter(text => {
  const box = text.getBoundingClientRect(), all = picture.getBoundingClientRect();
  return box.left < all.left - 1 || box.right > all.right + 1;
}).map(text => text.textContent));
parent.postMessage(JSON.stringify({
  width: innerWidth, needed: document.documentElement.scrollWidth, outside,
  ground: getComputedStyle(document.body).backgroundColor,
  pictures: pictures.map(picture => picture.getAttribute("class")),
  label: pictures.length && getComputedStyle(pictures[0].querySelector("text")).fill,
  cut: [...document.querySelectorAll("td, th, dd, pre")].filter(one => one.scrollWidth > one.clientWidth + 1).length,
}), "*");
"""
# A window has at least 500 pixels, a frame in it any number.
FRAME = """<!doctype html><title></title><script>onmessage = event => { document.title = event.data; }</script>
<iframe src="page.html" width="%d" height="1000" style="border: 0; color-scheme: light dark"></iframe>"""

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium"),
]


def browse(tmp_path: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)


def measured(tmp_path: Path, name: str, width: int, theme: str) -> dict[str, Any]:
    page = tmp_path / "page.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report(SAMPLES[name]()))
    page.write_text(text.replace("</body>", f"<script>{MEASURE}</script></body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME % width, encoding="utf-8")
    theme = f"--blink-settings=preferredColorScheme={THEMES[theme]}"
    shown = browse(tmp_path, frame, theme, "--window-size=1400,1200", "--virtual-time-budget=5000", "--dump-dom").stdout
    title = re.search(r"<title>(.*?)</title>", shown)
    assert title
    result: dict[str, Any] = json.loads(html.unescape(title[1]))
    return result


@pytest.mark.parametrize(
    ("name", "width", "theme"),
    [("blocking", 1200, "light"), ("hostile", 870, "dark"), ("blocking", 400, "dark"), ("hostile", 320, "light")],
)
def test_all_is_in_view(tmp_path: Path, name: str, width: int, theme: str) -> None:
    found = measured(tmp_path, name, width, theme)
    assert found["width"] == width
    assert found["needed"] <= width and not found["outside"] and not found["cut"]
    assert found["ground"] == GROUNDS[theme]
    assert set(found["pictures"]) == {"wide" if width > 704 else "narrow"}
    assert found["label"] not in ("rgb(0, 0, 0)", found["ground"])


def test_the_page_follows_its_own_policy_and_can_be_printed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(report(SAMPLES["hostile"]()), encoding="utf-8")
    result = browse(tmp_path, page, "--enable-logging=stderr", f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert "CONSOLE" not in result.stderr
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
