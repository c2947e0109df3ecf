"""The reports of a rehearsal."""
