"""Each rule of a review as data: what it finds, the effect on production, and what to write instead.

The pages in ``docs/rules`` are rendered from it. The name of a rule is public: it is in reports, in baselines and in
``# safeops: allow NAME -- reason``.
"""

from __future__ import annotations

from safeops.judging.rules.application import APPLICATION
from safeops.judging.rules.locking import LOCKING
from safeops.judging.rules.notes import NOTES
from safeops.judging.rules.rule import Rule

__all__ = ["RULES", "Rule"]

RULES: dict[str, Rule] = {rule.name: rule for rule in (*LOCKING, *APPLICATION, *NOTES)}
"""The rules by name, in the order of the list."""
