"""Each rule of a review as data: what it catches, why that hurts, and what to write instead.

The pages in ``docs/rules`` are rendered from it. The name of a rule is its public name: it is in reports, in baselines and
in ``# safeops: allow NAME -- reason``.
"""

from __future__ import annotations

from safeops.judging.rules.application import APPLICATION
from safeops.judging.rules.locking import LOCKING
from safeops.judging.rules.notes import NOTES
from safeops.judging.rules.rule import Rule

__all__ = ["RULES", "Rule"]

RULES: dict[str, Rule] = {rule.name: rule for rule in (*LOCKING, *APPLICATION, *NOTES)}
"""The rules by name, in the order in which they are listed."""
