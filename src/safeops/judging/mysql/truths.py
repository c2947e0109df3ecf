"""The truths about MariaDB and MySQL, specific ones first, measured by requesting each ALGORITHM in turn.

ALTER TABLE uses the fastest algorithm that all its actions allow: INSTANT, INPLACE, or COPY. From MariaDB 11.2 on a copy
does not block writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from safeops.judging import operations as op
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN, Effect, Truth

MARIADB, MYSQL = frozenset({"MariaDB"}), frozenset({"MySQL"})
INSTANT = "ALGORITHM=INSTANT"
ONLINE = "ALGORITHM=INPLACE, LOCK=NONE"
SHARED = "ALGORITHM=INPLACE, LOCK=SHARED"
EXCLUSIVE = "ALGORITHM=INPLACE, LOCK=EXCLUSIVE"
COPY = "ALGORITHM=COPY, LOCK=SHARED"
COPY_ONLINE = "ALGORITHM=COPY, LOCK=NONE"
COPY_EXCLUSIVE = "ALGORITHM=COPY, LOCK=EXCLUSIVE"
METADATA = "EXCLUSIVE metadata lock"
NO_WRITE = "SHARED_NO_WRITE metadata lock"
WRITE, READ = "LOCK TABLES WRITE", "LOCK TABLES READ"
ROW_LOCKS, SHARED_ROWS = "exclusive row locks", "shared row locks"
STRENGTH = (
    ROW_LOCKS,
    ONLINE,
    COPY_ONLINE,
    SHARED_ROWS,
    READ,
    NO_WRITE,
    SHARED,
    COPY,
    EXCLUSIVE,
    COPY_EXCLUSIVE,
    INSTANT,
    METADATA,
    WRITE,
)
"""Weakest first."""
BLOCKS = {
    **dict.fromkeys((INSTANT, METADATA, EXCLUSIVE, COPY_EXCLUSIVE, WRITE), "reads and writes"),
    **dict.fromkeys((SHARED, COPY, READ, NO_WRITE, SHARED_ROWS), "writes"),
}
ONLINE_COPY = (11, 2)
"""The first version of MariaDB whose copy does not block writes."""
HERE = ("mariadb 10.11", "mariadb 11.8", "mysql 9.7")
ON_MARIADB, ON_MYSQL = HERE[:2], HERE[2:]

_KEPT = "LOCK TABLES holds it until UNLOCK TABLES"
_BRIEF = (Effect("table", INSTANT),)
_METADATA = (Effect("table", METADATA),)


def _online(work: str = CATALOGUE) -> tuple[Effect, ...]:
    """Reads and writes are not blocked, except briefly at its beginning and its end."""
    return (Effect("table", ONLINE, work), Effect("table", METADATA))


def _truth(
    kind: str, effects: tuple[Effect, ...], *when: str, why: str = "", products: frozenset[str] = frozenset()
) -> Truth:
    measured = ON_MARIADB if products == MARIADB else ON_MYSQL if products == MYSQL else HERE
    return Truth(kind, effects, frozenset(when), products=products, why=why, measured=measured)


def _copies(kind: str, *when: str, why: str = "", products: frozenset[str] = frozenset()) -> Iterator[Truth]:
    """It copies the table; from MariaDB 11.2 on the copy does not block writes."""
    whole = _truth(kind, (Effect("table", COPY, REWRITE),), *when, why=why, products=products)
    if products != MYSQL:
        online = (Effect("table", COPY_ONLINE, REWRITE), Effect("table", METADATA))
        yield replace(whole, effects=online, products=MARIADB, since=ONLINE_COPY, measured=("mariadb 11.8",))
        yield replace(whole, products=MARIADB, measured=("mariadb 10.11",))
    if products != MARIADB:
        yield replace(whole, products=MYSQL, measured=ON_MYSQL)


def _columns() -> Iterator[Truth]:
    add, why = op.ADD_COLUMN, "a stored generated column is computed for all rows"
    yield from _copies(add, "stored", why=why)
    yield from _copies(add, "fulltext table", products=MYSQL, why="the table has a FULLTEXT index")
    shared = (Effect("table", SHARED, REWRITE),)
    yield _truth(add, shared, "fulltext table", products=MARIADB, why="the table has a FULLTEXT index")
    yield _truth(add, shared, "serial", why="the rows are numbered one after the other")
    why = "a foreign key on a new column is checked against all rows"
    yield _truth(add, _online(REWRITE), "inline references", "unchecked keys", why="foreign_key_checks is 0")
    yield from _copies(add, "inline references", why=why)
    yield from _copies(add, "inline check", products=MYSQL, why="a new CHECK requires a copy of the table")
    yield from _copies(
        add, "expression default", products=MYSQL, why="a default in parentheses is computed for each row"
    )
    yield from _copies(add, "volatile default", products=MARIADB, why="the default differs from row to row")
    yield from _copies(add, "positioned", "virtual table", products=MARIADB, why="the table has a virtual column")
    yield _truth(add, _online(REWRITE), "inline unique", why="a unique index is built")
    yield _truth(add, _online(REWRITE), "compressed table", why="a compressed table is rebuilt")
    yield _truth(
        add, _online(REWRITE), "zero date", products=MYSQL, why="strict mode checks whether the table has rows"
    )
    yield _truth(add, _BRIEF, why="only the metadata changes")
    drop = op.DROP_COLUMN
    yield from _copies(drop, "primary key", why="the table loses its primary key")
    yield _truth(drop, _online(REWRITE), "compressed table", why="a compressed table is rebuilt")
    yield _truth(drop, _online(REWRITE), "fulltext table", "indexed", why="its FULLTEXT index is dropped with it")
    yield from _copies(drop, "fulltext table", products=MYSQL, why="the table has a FULLTEXT index")
    yield _truth(drop, shared, "fulltext table", products=MARIADB, why="the table has a FULLTEXT index")
    yield _truth(drop, _online(), "indexed", why="its indexes are dropped with it")
    yield _truth(drop, _BRIEF, why="only the metadata changes")
    yield _truth(op.RENAME_COLUMN, _BRIEF)
    yield _truth(op.SET_DEFAULT, _BRIEF)
    yield _truth(op.DROP_DEFAULT, _BRIEF)


def _types() -> Iterator[Truth]:
    change = op.CHANGE_TYPE
    yield _truth(change, _BRIEF, "unknown column", "algorithm instant", why="the server refuses what is not INSTANT")
    yield _truth(change, _online(REWRITE), "unknown column", "lock none", why="the server refuses what needs a lock")
    yield from _copies(change, "changes type", why="the types are stored differently")
    rebuilt = "NULL is stored differently, so the table is rebuilt"
    for kind in (op.SET_NOT_NULL, op.DROP_NOT_NULL):
        yield from _copies(kind, "changes type", why="the types are stored differently")
        yield from _copies(kind, "fulltext table", products=MYSQL, why="the table has a FULLTEXT index")
        shared = (Effect("table", SHARED, REWRITE),)
        yield _truth(kind, shared, "fulltext table", products=MARIADB, why="the table has a FULLTEXT index")
    yield from _copies(op.SET_NOT_NULL, "not strict", why="without strict mode NULL becomes 0 or an empty text")
    yield from _copies(op.SET_NOT_NULL, "stored table", products=MARIADB, why="the table has a stored generated column")
    yield _truth(op.SET_NOT_NULL, _online(REWRITE), why=rebuilt)
    yield _truth(op.DROP_NOT_NULL, _online(REWRITE), why=rebuilt)
    yield _truth(change, _BRIEF, "appends values", why="the new values follow the old ones")
    yield _truth(change, _BRIEF, "widens", products=MARIADB, why="both types are stored in the same way")
    yield _truth(change, _online(), "widens", products=MYSQL, why="both types are stored in the same way")
    yield _truth(change, _online(BUILD), "collation", "indexed", products=MARIADB, why="its indexes are rebuilt")
    yield from _copies(change, "collation", "indexed", products=MYSQL, why="its indexes are sorted differently")
    yield _truth(change, _BRIEF, "collation", products=MARIADB)
    yield _truth(change, _online(), "collation", products=MYSQL)
    yield _truth(change, _online(REWRITE), "positioned", products=MYSQL, why="the order of the columns changes")
    yield _truth(change, _BRIEF, "already", why="the column already has the type")
    yield from _copies(change, why="the types are stored differently, so the table is copied")


def _indexes() -> Iterator[Truth]:
    shared = (Effect("table", SHARED, BUILD),)
    for word in ("fulltext", "spatial", "functional", "vector"):
        yield _truth(op.CREATE_INDEX, shared, word, why=f"a {word} index is never built online")
    yield _truth(op.ADD_UNIQUE, shared, "functional", why="a functional index is never built online")
    yield _truth(op.CREATE_INDEX, _online(BUILD), why="an index is built online")
    yield _truth(op.ADD_UNIQUE, _online(BUILD), why="an index is built online")
    yield _truth(op.ADD_PRIMARY_KEY, _online(REWRITE), why="the rows are sorted again, online")
    yield _truth(op.DROP_INDEX, _online())
    yield _truth(op.RENAME_INDEX, _BRIEF, products=MARIADB)
    yield _truth(op.RENAME_INDEX, _online(), products=MYSQL)


def _constraints() -> Iterator[Truth]:
    brief, read = Effect("other", METADATA), Effect("other", SHARED_ROWS, SCAN)
    key = op.ADD_FOREIGN_KEY
    yield _truth(key, (*_METADATA, brief), "inline", why="the table is new")
    yield _truth(key, (*_METADATA, brief), "empty table", why="there are no rows to check")
    yield _truth(key, (*_online(BUILD), brief), "unchecked keys", why="foreign_key_checks is 0")
    why = "with foreign_key_checks=1 the table is copied to check its rows, and the referenced rows are locked"
    yield from (replace(each, effects=(*each.effects, read)) for each in _copies(key, why=why))
    yield _truth(op.ADD_CHECK, _BRIEF, "not enforced", products=MYSQL)
    yield from _copies(op.ADD_CHECK, why="the table is copied to check its rows")
    yield from _copies(op.VALIDATE_CONSTRAINT, products=MYSQL, why="the table is copied to check its rows")
    yield _truth(
        op.DROP_CONSTRAINT, _online(REWRITE), "primary key", "replaced", why="the rows are sorted again, online"
    )
    yield from _copies(op.DROP_CONSTRAINT, "primary key", why="a table without a primary key is sorted differently")
    yield _truth(op.DROP_CONSTRAINT, _online(), "foreign key", products=MYSQL)
    yield _truth(op.DROP_CONSTRAINT, _BRIEF)


def _tables() -> Iterator[Truth]:
    rewrite = op.REWRITE_TABLE
    yield _truth(rewrite, _online(), "character set", "already", products=MYSQL)
    yield _truth(rewrite, _BRIEF, "character set", "already", products=MARIADB)
    yield from _copies(rewrite, "copies", why="the table is rewritten")
    why = "rows move between partitions, which the server does not do online"
    spread = (Effect("table", SHARED, REWRITE),)
    yield _truth(rewrite, spread, "spreads rows", why=why, products=MYSQL)
    yield _truth(rewrite, (Effect("table", COPY, REWRITE),), "spreads rows", why=why, products=MARIADB)
    yield from _copies(rewrite, "fulltext table", products=MYSQL, why="the table has a FULLTEXT index")
    yield _truth(rewrite, spread, "fulltext table", products=MARIADB, why="the table has a FULLTEXT index")
    yield _truth(rewrite, _online(REWRITE), why="the table is rebuilt online")
    yield _truth(op.ALTER_TABLE, spread, "spreads rows", why=why, products=MYSQL)
    yield _truth(op.ALTER_TABLE, (Effect("table", COPY, REWRITE),), "spreads rows", why=why, products=MARIADB)
    yield _truth(op.ALTER_TABLE, _METADATA)
    yield _truth(op.COMMENT, _BRIEF, products=MARIADB)
    yield _truth(op.COMMENT, _online(), products=MYSQL)
    exchanged = (Effect("table", METADATA), Effect("other", METADATA))
    scanned = (Effect("table", METADATA, SCAN), Effect("other", METADATA, SCAN))
    yield _truth(op.ATTACH_PARTITION, exchanged, "not valid")
    yield _truth(op.ATTACH_PARTITION, scanned, why="each row of the table that becomes a partition is checked")
    for kind in (op.DROP_TABLE, op.TRUNCATE, op.CREATE_TRIGGER, op.DROP_TRIGGER):
        yield _truth(kind, _METADATA)
    yield _truth(op.RENAME_TABLE, (Effect("table", METADATA),))
    yield _truth(op.LOCK_TABLE, (Effect("table", READ, NO_WORK),), "mode read", why=_KEPT)
    yield _truth(op.LOCK_TABLE, (Effect("table", WRITE, NO_WORK),), "mode write", why=_KEPT)


def _rows() -> Iterator[Truth]:
    read = "under REPEATABLE READ the rows that it reads stay locked until the transaction ends"
    few = frozenset({"by key", "limit"})
    for trait in few:
        yield _truth(op.INSERT, (Effect("table", ROW_LOCKS, ROWS),), "from table", trait)
    yield _truth(
        op.INSERT, (Effect("table", ROW_LOCKS, ROWS), Effect("other", SHARED_ROWS, SCAN)), "from table", why=read
    )
    for kind in (op.UPDATE, op.DELETE):
        yield _truth(kind, (Effect("table", ROW_LOCKS, ROWS),))
    yield _truth(op.SELECT, (Effect("table", ROW_LOCKS, ROWS),), "for update")


_ALTERS = frozenset(
    {op.ADD_COLUMN, op.DROP_COLUMN, op.RENAME_COLUMN, op.CHANGE_TYPE, op.SET_NOT_NULL, op.DROP_NOT_NULL, op.SET_DEFAULT}
    | {
        op.DROP_DEFAULT,
        op.CREATE_INDEX,
        op.DROP_INDEX,
        op.RENAME_INDEX,
        op.ADD_UNIQUE,
        op.ADD_PRIMARY_KEY,
        op.ADD_CHECK,
    }
    | {op.ADD_FOREIGN_KEY, op.VALIDATE_CONSTRAINT, op.DROP_CONSTRAINT, op.REWRITE_TABLE, op.ALTER_TABLE, op.COMMENT}
)


def _requested(truths: list[Truth]) -> Iterator[Truth]:
    """Put before each truth its variants for statements with ALGORITHM=COPY, LOCK=SHARED or LOCK=EXCLUSIVE."""
    requested = "the statement requests this algorithm or lock"
    for kind in sorted(_ALTERS):
        for lock, taken in (("lock exclusive", COPY_EXCLUSIVE), ("lock shared", COPY)):
            yield _truth(kind, (Effect("table", taken, REWRITE),), "algorithm copy", lock, why=requested)
        yield from _copies(kind, "algorithm copy", why=requested)
    for each in truths:
        first = each.effects[0] if each.effects else Effect("table", "")
        if each.kind in _ALTERS and first.lock in (ONLINE, SHARED, COPY, COPY_ONLINE, INSTANT):
            work = REWRITE if first.lock == INSTANT else first.work
            yield _locked(
                each, "lock exclusive", EXCLUSIVE if first.lock in (ONLINE, SHARED, INSTANT) else COPY_EXCLUSIVE, work
            )
            yield _locked(each, "lock shared", SHARED if first.lock in (ONLINE, SHARED, INSTANT) else COPY, work)
        yield each


def _locked(truth: Truth, requested: str, lock: str, work: str) -> Truth:
    """Return a truth for a statement with LOCK: an INSTANT change becomes a rebuild, unless it has ALGORITHM=INSTANT."""
    unless = frozenset({"algorithm instant"})
    effects = (Effect("table", lock, work), *truth.effects[1:])
    return replace(
        truth,
        effects=effects,
        when=truth.when | {requested},
        unless=truth.unless | unless,
        why="the statement requests this algorithm or lock",
    )


_OWN = [*_columns(), *_types(), *_indexes(), *_constraints(), *_tables(), *_rows()]
TRUTHS = tuple(_requested(_OWN))
