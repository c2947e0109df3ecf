"""The file of a new revision: its parts, its layout, and the patterns that fill it."""
