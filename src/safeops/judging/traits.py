"""The words that make a difference to what an operation does: in its text, in what exists, and in the session."""

SHOWN = {
    # columns
    "constant default": "The new column has a default that is the same for every row.",
    "volatile default": "The default differs from row to row.",
    "not null": "The column is declared NOT NULL.",
    "identity": "The column gets its values from an identity.",
    "serial": "The column gets its values from a sequence.",
    "stored": "A generated column whose values are stored.",
    "virtual": "A generated column whose values are computed when read.",
    "inline check": "The column is added with a CHECK.",
    "inline references": "The column is added with REFERENCES.",
    "inline unique": "The column is added with UNIQUE or PRIMARY KEY.",
    "using": "The change of type has a USING expression.",
    "collation": "The change of type gives another collation.",
    # indexes and constraints
    "concurrently": "CONCURRENTLY.",
    "unique": "A unique index.",
    "not valid": "NOT VALID: existing rows are not checked.",
    "not enforced": "NOT ENFORCED.",
    "using index": "The key takes an index that exists.",
    "only": "ON ONLY: partitions are left out.",
    "if exists": "IF EXISTS or IF NOT EXISTS.",
    "cascade": "CASCADE.",
    # rows
    "where": "There is a condition.",
    "limit": "There is a LIMIT.",
    "by key": "The condition compares a whole key with values.",
    "for update": "The rows that it reads are locked.",
    "from table": "The rows come from another table.",
    # MariaDB and MySQL
    "algorithm instant": "ALGORITHM=INSTANT.",
    "algorithm inplace": "ALGORITHM=INPLACE.",
    "algorithm copy": "ALGORITHM=COPY.",
    "lock none": "LOCK=NONE.",
    "lock shared": "LOCK=SHARED.",
    "lock exclusive": "LOCK=EXCLUSIVE.",
}
"""What the text of a statement can show."""
FOUND = {
    "new table": "The table was made by the same run of revisions.",
    "empty table": "The table has no rows.",
    "small table": "The table has few rows.",
    "unlogged": "The table is unlogged.",
    "partitioned": "The table is partitioned.",
    "proven not null": "A valid CHECK says that the column is not null.",
    "already": "It is so already.",
    "widens": "The new type takes every value, stored in the same way.",
    "checked domain": "The type is a domain with rules of its own.",
    "in a transaction": "It is part of a transaction.",
}
"""What a server adds, from what exists and from the session."""
