"""The tests of a revision: each module has ``check``, which raises Failed or Untestable."""
