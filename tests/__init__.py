"""Tests of safeops. A package, so that a stray top-level `tests` in site-packages cannot shadow it."""
