"""Judges each statement of a revision: which locks it takes, what it does under them, and what to write instead."""
