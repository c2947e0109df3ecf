"""The process that has the models of a release, as the tests see it."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from contextlib import ExitStack, suppress
from typing import Any

from sqlalchemy.engine import URL

from safeops.errors import SafeOpsError
from safeops.naming import Name
from safeops.review.models import MODELS_SECONDS, last_line
from safeops.review.released_files import ModelsUnknown, ProjectFiles
from safeops.testing.old_statements import Sent

ANSWER = 600.0
"""Seconds for one round: a statement may wait for the whole upgrade."""
COMMAND = (sys.executable, "-W", "ignore", "-m", "safeops.testing.old_models")


class ModelsProcess:
    """A process that has imported the models, and sends their statements; it ends with this one.

    Args:
        files: The project as it was.

    Raises:
        ModelsUnknown: env.py fails there, or takes too long.
    """

    def __init__(self, files: ProjectFiles) -> None:
        self.tables = 0
        """How many tables the models have."""
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._turn = threading.Lock()
        with ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
            self._process = stack.enter_context(
                subprocess.Popen(
                    COMMAND,
                    cwd=files.folder(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    encoding="utf-8",
                )
            )
            stack.callback(self._process.kill)
            threading.Thread(target=self._listen, daemon=True).start()
            self._import(files)
            self._stack = stack.pop_all()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._stack.close()

    def begin(self, url: URL) -> dict[Name, tuple[str, ...]]:
        """Have it use a database; return the tables of its models that exist there, with their columns."""
        answer = self._ask({"do": "begin", "url": _text(url)})
        return {Name(name, schema): tuple(columns) for schema, name, columns in answer["tables"]}

    def round(self, url: URL, *, at_limits: bool = False, only: Collection[Name] | None = None) -> list[Sent]:
        """Have it read and write each table once.

        Args:
            url: The database.
            at_limits: Whether it also writes the values at the limits of the types.
            only: The tables that it uses, and of those the columns that exist; None for all as the models have them.
        """
        tables = None if only is None else [(one.schema, one.name) for one in only]
        answer = self._ask({"do": "round", "url": _text(url), "at_limits": at_limits, "only": tables})
        return [Sent(**{**one, "columns": tuple(one["columns"])}) for one in answer["sent"]]

    def end(self, url: URL) -> None:
        """Have it close a database."""
        self._ask({"do": "end", "url": _text(url)})

    # Orders and answers -----------------------------------------------------------------------------------------

    def _import(self, files: ProjectFiles) -> None:
        answer = self._exchange(files.given(), MODELS_SECONDS)
        if answer is None:
            raise ModelsUnknown(self._said(f"env.py had not ended after {MODELS_SECONDS} s"))
        if "failure" in answer:
            raise ModelsUnknown(answer["failure"])
        self.tables = answer["tables"]

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._turn:
            answer = self._exchange(order, ANSWER)
        if answer is None or "failure" in answer:
            said = answer["failure"] if answer is not None else self._said(f"it gave no answer for {ANSWER:g} s")
            raise SafeOpsError(f"The process with the models of another release failed: {said}")
        return answer

    def _exchange(self, order: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Send an order, and return the answer; None if there was none."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            # A later answer would be taken for that to another order.
            self._process.kill()
            return None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))
        self._answers.put(None)

    def _said(self, otherwise: str) -> str:
        """Return the last line of its error output, if it has ended itself."""
        self._process.wait()
        self._errors.seek(0)
        return otherwise if self._process.returncode == -signal.SIGKILL else last_line(self._errors.read())


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
