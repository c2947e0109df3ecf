"""What exists before a statement, changed by each that is judged."""

from __future__ import annotations

from collections.abc import Iterable

from safeops.judging.existing import Existing
from safeops.judging.operations import Operation
from safeops.judging.replay import replay


class Schema(Existing):
    """The tables and types that are known, how to find more, and what operations change."""

    def apply(self, operations: Iterable[Operation], *, new: bool) -> None:
        """Apply operations to the model; ``new`` marks the tables that they create as created by this run."""
        for operation in operations:
            replay(self, operation, new=new)
