"""A folder that is removed after the process that uses it, however that ends, with the server that runs in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A forked child would keep a pipe of its parent open: it is the parent itself that is watched.
WATCH = """
import os, shutil, signal, sys, time
folder, user = sys.argv[1], int(sys.argv[2])
while os.getppid() == user:
    time.sleep(0.1)
pid = os.path.join(folder, "data", "postmaster.pid")
try:
    number = int(open(pid).readline())
    os.kill(number, signal.SIGQUIT)
    while os.path.exists(pid):
        time.sleep(0.05)
        os.kill(number, 0)
except (OSError, ValueError):
    pass
shutil.rmtree(folder, ignore_errors=True)
"""


@contextmanager
def temporary_folder(prefix: str, within: Path | None = None) -> Iterator[Path]:
    """Provide a folder for the block; another process removes it if this one is killed.

    Args:
        prefix: What its name begins with.
        within: The folder that it is in; by default that of temporary files.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, dir=within, ignore_cleanup_errors=True) as folder:
        # In another group: what kills all processes of this one must not reach it.
        command = [sys.executable, "-I", "-S", "-c", WATCH, folder, str(os.getpid())]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as watch:
            try:
                yield Path(folder)
            finally:
                watch.kill()
