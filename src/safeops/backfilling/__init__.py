"""Filling columns in batches: bounded, resumable, adaptive, throttled, parallel."""
