"""Runs a command on a pseudo-terminal, and reads what its user sees.

on_terminal(command, ...)   runs it, and returns what it wrote
screen(written, columns)    the lines that a terminal of that width shows of it
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(
    command: Sequence[str],
    *,
    columns: int = 100,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    when: Callable[[str, subprocess.Popen[Any]], object] = lambda _written, _process: None,
    seconds: float = 60.0,
) -> tuple[str, int]:
    """Runs a command whose input and outputs are a terminal; returns what it wrote, and its exit status.

    Args:
        when: Called with what was written so far, after each part.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI", "COLUMNS")}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**kept, "TERM": "xterm-256color", **(environ or {})},
        start_new_session=True,
    )
    os.close(theirs)
    written, end = "", time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            try:
                part = os.read(ours, 100_000)
            except OSError:  # Its last process has closed it.
                break
            written += part.decode(errors="replace")
            when(written, process)
        return written, process.wait(5)
    finally:
        process.kill()
        os.close(ours)


def screen(written: str, columns: int = 100) -> list[str]:
    """Returns the lines as they are at the end, without colours; a line that is too long is wrapped."""
    lines, row, column = [[" "] * columns], 0, 0
    for one in COLOURS.sub("", written):
        if one == "\r":
            column = 0
            continue
        if one == "\n" or column == columns:
            row, column = row + 1, 0 if one != "\n" else column
            if row == len(lines):
                lines.append([" "] * columns)
        if one == "\n":
            continue
        assert one.isprintable(), f"a terminal that knows no escape sequences shows {one!r}"
        lines[row][column] = one
        column += 2 if unicodedata.east_asian_width(one) in "WF" else 1
    return ["".join(line).rstrip() for line in lines]
