"""Rehearse runs the pending revisions on a copy of the database, under traffic, and reports what they would do."""
