"""Follow the instructions on a page: run the commands, write the files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.docs.console import Console, only_file
from tests.docs.pages import Block

FILES = ("file", "append", "edit", "replace", "part of", "printed")


def is_followed(block: Block) -> bool:
    return block.mark("not run") is None and (
        block.language == "sh" or any(block.mark(one) is not None for one in FILES)
    )


def follow(block: Block, console: Console) -> None:
    """Do what a reader does with a block."""
    if block.mark("apart") is not None:
        _apart(block, console)
    elif block.language == "sh":
        console.run(block.mark("before") or "")
        said = block.mark("fails")
        if said is None:
            console.run(block.code)
        else:
            assert said in console.failure(block.code)
    elif block.language == "text":
        assert _comparable(block.code) in _comparable(console.output), console.output
    else:
        _edit(block)


def _apart(block: Block, console: Console) -> None:
    here, there = Path.cwd(), Path("apart")
    there.mkdir()
    os.chdir(there)
    console.run(block.code)
    os.chdir(here)


def _edit(block: Block) -> None:
    if new := block.mark("file"):
        Path(new).write_text(block.code)
    elif longer := block.mark("append"):
        only_file(longer).write_text(only_file(longer).read_text() + block.code)
    elif part := block.mark("part of"):
        assert block.code in only_file(part).read_text()
    elif change := block.mark("replace"):
        pattern, change = change.split(": ", 1)
        old, new = change.split(" => ")
        _put(only_file(pattern), old, new)
        assert block.code in only_file(pattern).read_text()
    else:
        pattern, line = str(block.mark("edit")).split(": ", 1)
        lines = [one for one in only_file(pattern).read_text().splitlines(keepends=True) if one.strip() == line]
        _put(only_file(pattern), "".join(lines), block.code)


def _put(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new))


def _comparable(text: str) -> str:
    """Return the text without times and without the number of the revision."""
    return re.sub(r"[0-9a-f]{12}", "REVISION", re.sub(r"\([\d.]+ s\)", "", " ".join(text.split())))
