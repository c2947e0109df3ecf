"""The running migration: steps executed with lock retry, and the lock of its runner."""
