"""Tests of safeops. A package: a stray top-level `tests` in site-packages cannot shadow it."""
