"""Dumps, and the programs that make and load them."""
