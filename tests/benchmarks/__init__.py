"""Measurements, run by hand and never by pytest."""
