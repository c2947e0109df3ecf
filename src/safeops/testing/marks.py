"""The tests of a revision by their names."""

from __future__ import annotations

MARKS = {
    "up_down_up": "the downgrade leads back, and the upgrade works again",
    "stopped_anywhere": "an upgrade that was stopped after any statement can be run again",
    "two_at_once": "of two runners one wins, and the other finds nothing to do",
    "old_release": "the released application keeps working",
    "nothing_lost": "writers lose nothing during the upgrade",
    "offline": "the script of --sql does the same",
    "bounded": "no session waits longer than the lock timeout",
}
"""What each test asserts; it has a mark of the same name."""
