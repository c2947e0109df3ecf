"""What is read of a table later, when another session may have changed it."""

from safeops.databases.definitions import PartlyRead


def test_what_was_dropped_since_is_not_listed():
    indexes = PartlyRead({"ix_a": 1}, ["ix_a", "ix_b"], lambda: {"ix_a": 1, "ix_c": 3})

    assert "ix_b" in indexes
    assert list(indexes.values()) == [1, 3]
    assert dict(indexes.items()) == {"ix_a": 1, "ix_c": 3}
    assert "ix_b" not in indexes
