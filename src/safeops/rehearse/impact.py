"""What an application notices of a statement."""

FREE, BRIEF, WRITES_WAIT, ALL_WAIT = "free", "brief", "writes wait", "all wait"
UNKNOWN = "unknown"
"""No lock of it was seen, as on MariaDB: that it blocked nothing is not known."""
