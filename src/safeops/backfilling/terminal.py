"""The line on a terminal that shows the progress of a backfill: a bar with ``rich``, else text."""

from __future__ import annotations

import logging
import os
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO

NARROWEST_BAR, WIDEST_BAR = 10, 40
NARROWEST_NAME = 12
DEFAULT_WIDTH = 80

Render = Callable[[TextIO, int], str]
"""Writes the line for a terminal of that many columns."""


def terminal() -> TextIO | None:
    """Return stderr if it is a terminal on which a line can be rewritten."""
    stream = sys.stderr
    with suppress(AttributeError, ValueError):  # There is no stderr, or it is closed.
        if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
            return stream
    return None


class TerminalLine:
    """A line at the end of what a terminal shows; all other output is written above it.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._text, self._is_shown, self._at_start = stream, "", False, True
        # Reentrant: a signal may interrupt the drawing, and its handler may print.
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._redirected = ExitStack()
        self._redirected.enter_context(_redirected(self))

    def draw(self, render: Render) -> None:
        """Replace the line. Raises OSError or ValueError if the terminal was closed."""
        with self._lock:
            width = _width(self._stream)
            text = render(self._stream, width)
            self._erase()
            self._text = text
            self._show()

    def close(self) -> None:
        """Leave the line as it is, and move to the next one."""
        self._redirected.close()
        with self._lock, suppress(OSError, ValueError):
            if self._is_shown:
                self._stream.write("\n")
                self._stream.flush()
            self._is_shown = False

    def write_above(self, stream: TextIO, text: str) -> None:
        """Write other output to a terminal, above the line."""
        if os.getpid() != self._owner:
            # A worker that was forked: its copy of the lock may be held, and the line is not its own.
            stream.write(f"{_blank(stream)}{text}")
            return
        with self._lock:
            self._erase()
            stream.write(text)
            stream.flush()
            self._at_start = text.endswith("\n") if text else self._at_start
            self._show()

    def _erase(self) -> None:
        if self._is_shown:
            self._stream.write(_blank(self._stream))
            self._is_shown = False

    def _show(self) -> None:
        if self._text and self._at_start:
            self._stream.write(self._text)
            self._is_shown = True
        self._stream.flush()


class _AboveLine:
    """Takes the place of a stream while a line is shown."""

    def __init__(self, line: TerminalLine, stream: TextIO) -> None:
        self._line, self._stream = line, stream

    def write(self, text: str) -> int:
        self._line.write_above(self._stream, text)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _redirected(line: TerminalLine) -> Iterator[None]:
    """Send what is printed or logged to a terminal through the line."""
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if _is_terminal(stream):
                stack.callback(_restore_stream, name, stream, above := _AboveLine(line, stream))
                setattr(sys, name, above)
        for handler in _handlers():
            stream = handler.stream
            stack.callback(_restore_handler, handler, stream, above := _AboveLine(line, stream))
            handler.setStream(above)
        yield


def _restore_stream(name: str, stream: TextIO, above: _AboveLine) -> None:
    if getattr(sys, name) is above:
        setattr(sys, name, stream)


def _restore_handler(handler: logging.StreamHandler[Any], stream: TextIO, above: _AboveLine) -> None:
    if handler.stream is above:
        handler.setStream(stream)


def _handlers() -> list[logging.StreamHandler[Any]]:
    """Return the handlers of all loggers that write to a terminal; they keep the stream that they were given."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
    # Logging's last resort uses sys.stderr instead of an attribute.
    own = [one for one in handlers if isinstance(one, logging.StreamHandler) and "stream" in vars(one)]
    return [one for one in dict.fromkeys(own) if _is_terminal(one.stream)]


def _is_terminal(stream: Any) -> bool:
    with suppress(AttributeError, ValueError):
        return bool(stream.isatty())
    return False


def _blank(stream: TextIO) -> str:
    """Return what erases a line; some consoles of Windows ignore the escape sequence."""
    return "\r" + " " * (_width(stream) - 1) + "\r"


def _width(stream: TextIO) -> int:
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    return DEFAULT_WIDTH


# What the line shows --------------------------------------------------------------------------------------------


def rendered(names: Sequence[str], figures: Sequence[Sequence[str]], share: float | None) -> Render:
    """Return a renderer of the line.

    Args:
        names: What runs, the longest text first.
        figures: How far it is, the longest texts first.
        share: The part that is done, from 0 to 1; None if unknown.
    """

    def render(stream: TextIO, width: int) -> str:
        room = width - 1  # A full line would make the terminal begin the next one.
        with suppress(ImportError):
            return _rich_line(stream, room, names, figures, share)
        name, parts = fitted(names, figures, room, separator=", ")
        return _encodable(stream, f"{name}: {', '.join(parts)}" if parts else name)

    return render


def _rich_line(
    stream: TextIO, room: int, names: Sequence[str], figures: Sequence[Sequence[str]], share: float | None
) -> str:
    from rich.console import Console
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    name, parts = fitted(names, figures, room - NARROWEST_BAR - 1, separator="  ")
    if share is None or len(parts) < len(figures[-1]):  # The figures are worth more than a bar.
        name, parts = fitted(names, figures, room, separator="  ")
    if not parts:
        return _encodable(stream, name)
    shown = "  ".join(parts)
    console = Console(file=stream, width=room, force_jupyter=False)
    line = Text(_encodable(stream, name))
    if share is not None and (left := room - cells(name) - cells(shown) - 3) >= NARROWEST_BAR:
        width = min(left, WIDEST_BAR)
        drawn = ProgressBar(1.0, share, width, complete_style="cyan", finished_style="green")
        bar = Text.assemble(*((one.text, one.style or "") for one in console.render(drawn)))
        bar.pad_right(width - bar.cell_len)
        line += Text(" ") + bar
    line += Text(_encodable(stream, f"  {shown}"))
    with console.capture() as captured:
        console.print(line, end="", soft_wrap=True)
    return captured.get()


def fitted(
    names: Sequence[str], figures: Sequence[Sequence[str]], room: int, separator: str
) -> tuple[str, Sequence[str]]:
    """Return the longest texts that fit, or shortened ones."""
    names = [_printable(name) for name in names]
    figures = [[_printable(part) for part in parts] for parts in figures]
    for parts in figures:
        left = room - 2 - cells(separator.join(parts))
        for name in names:
            if cells(name) <= left:
                return name, parts
    parts, narrowest = list(figures[-1]), min(cells(names[-1]), NARROWEST_NAME)
    while parts and room - 2 - cells(separator.join(parts)) < narrowest:
        parts.pop()
    return _shortened(names[-1], room - 2 - cells(separator.join(parts))), parts


def _shortened(text: str, room: int) -> str:
    """Return the text without its middle, if it is too long."""
    if cells(text) <= room:
        return text
    begin, end = text[: max(room, 1)], text[-max(room, 1) :]
    while cells(begin) > max(room - 1, 0) // 2:
        begin = begin[:-1]
    while cells(end) > max(room - 1 - cells(begin), 0):
        end = end[1:]
    return f"{begin}…{end}"


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def _encodable(stream: TextIO, text: str) -> str:
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)
