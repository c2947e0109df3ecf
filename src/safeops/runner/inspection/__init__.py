"""What a database is like, for status, plan and the checks before an upgrade."""
