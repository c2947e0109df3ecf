"""Results of a rehearsal as ``--json`` prints them; ``python -m tests.rehearse.samples FOLDER`` writes their reports."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RATE = 20
"""Requests for a table in a second."""


def requests(seconds: float, waits: Sequence[tuple[float, float]] = (), seed: int = 1) -> list[list[float]]:
    """Return when each request began and how long it took: until the end of a wait if it began in one."""
    chance = random.Random(seed)
    found = []
    for number in range(int(seconds * RATE)):
        at = number / RATE
        took = 0.0015 + chance.expovariate(1 / 0.0012)
        inside = [(begin, end) for begin, end in waits if begin <= at < end]
        if not inside or at - inside[0][0] < 1 / RATE or chance.random() < 0.1:
            found.append([round(at, 3), round((inside[0][1] - at if inside else 0) + took, 4)])
    return found


def latencies(p99: float, longest: float, count: int = 400) -> dict[str, float]:
    return {"count": count, "p50": p99 / 3, "p99": p99, "longest": longest}


def phases(up: tuple[float, float], down: tuple[float, float]) -> list[list[Any]]:
    return [
        ["before", 0, up[0]],
        ["during", *up],
        ["after", up[1], down[0] - 1],
        ["back", *down],
        ["again", down[1], 34],
    ]


def statement(revision: str, sql: str, seconds: float, **more: Any) -> dict[str, Any]:
    empty = {
        "locks": {},
        "rewrote": [],
        "built": [],
        "scanned": {},
        "wal_bytes": None,
        "rows": None,
        "longest_wait": 0.0,
    }
    return {"revision": revision, "sql": sql, "seconds": seconds, "direction": "up", "exact": True, **empty, **more}


def wait(place: int | None, table: str, lock: str, sql: str, seconds: float) -> dict[str, Any]:
    return {"statement": place, "table": table, "lock": lock, "who": f"the application: {sql}", "seconds": seconds}


def common() -> dict[str, Any]:
    return {
        "server": "PostgreSQL 18.1",
        "began": "2026-11-30 14:10 UTC",
        "safeops": "0.3.0",
        "budgets": {"max_wait": 0.5, "max_seconds": 600.0},
        "copy": {
            "kind": "filled",
            "rows": {"public.orders": 2_000_000, "public.customers": 240_000, "public.order_lines": 5_800_000},
        },
        "disk_bytes": 412 * 2**20,
        "temporary_bytes": 38 * 2**20,
        "measured": [
            "Two writers sent single-row reads and writes by key, inserts, deletes and short transactions at a steady rate",
            "Each statement of the migration was followed on its connection, and a second connection read every 10 ms who "
            "waited for a lock",
        ],
    }


def blocking() -> dict[str, Any]:
    """A revision that locks its tables for seconds."""
    first, second = "7c1d0e5b9a42", "b3f2a9d8c611"
    return {
        **common(),
        "summary": "Not ready: statements of the application on orders waited for 6.1 s; the budget is 500 ms",
        "revisions": [
            {"revision": first, "message": "orders get a currency", "seconds": 6.4},
            {"revision": second, "message": "index of the customers' e-mail", "seconds": 2.2},
        ],
        "statements": [
            statement(
                first,
                "ALTER TABLE orders ADD COLUMN currency VARCHAR(3)",
                0.004,
                locks={"public.orders": "ACCESS EXCLUSIVE"},
                longest_wait=0.003,
                wal_bytes=1200,
            ),
            statement(
                first,
                "UPDATE orders SET currency = 'EUR' WHERE currency IS NULL AND country IN ('DE', 'FR', 'IT')",
                0.21,
                locks={"public.orders": "ROW EXCLUSIVE"},
                rows=18_204,
                scanned={"public.orders": 2_000_000},
                wal_bytes=3_600_000,
                longest_wait=0.0,
            ),
            statement(
                first,
                "ALTER TABLE orders ALTER COLUMN total TYPE NUMERIC(14, 4)",
                6.1,
                locks={"public.orders": "ACCESS EXCLUSIVE"},
                rewrote=["public.orders"],
                built=["public.orders"],
                scanned={"public.orders": 2_000_000},
                wal_bytes=310 * 2**20,
                longest_wait=6.12,
            ),
            statement(
                second,
                "CREATE UNIQUE INDEX ix_customers_email ON customers (lower(email))",
                2.2,
                locks={"public.customers": "SHARE"},
                built=["public.customers"],
                scanned={"public.customers": 240_000},
                wal_bytes=9 * 2**20,
                longest_wait=2.19,
            ),
            statement(
                second,
                "DROP INDEX ix_customers_email",
                0.006,
                direction="down",
                locks={"public.customers": "ACCESS EXCLUSIVE"},
                longest_wait=0.004,
            ),
            statement(
                first,
                "ALTER TABLE orders DROP COLUMN currency, ALTER COLUMN total TYPE NUMERIC(12, 2)",
                5.2,
                direction="down",
                locks={"public.orders": "ACCESS EXCLUSIVE"},
                rewrote=["public.orders"],
                longest_wait=5.2,
            ),
        ],
        "waits": [
            wait(2, "public.orders", "ROW EXCLUSIVE", "UPDATE orders SET note = $1 WHERE id = $2", 6.12),
            wait(2, "public.orders", "ACCESS SHARE", "SELECT * FROM orders WHERE id = $1", 5.9),
            wait(3, "public.customers", "ROW EXCLUSIVE", "INSERT INTO customers (email) VALUES ($1)", 2.19),
        ],
        "traffic": {
            "writes": 2410,
            "reads": 3122,
            "longest_wait": 6.12,
            "lost": 0,
            "lost_rows": [],
            "errors": [
                {
                    "table": "public.orders",
                    "sql": "SELECT * FROM orders WHERE id = $1",
                    "message": "cached plan must not change result type",
                    "code": "0A000",
                    "count": 4,
                    "first_at": 16.3,
                }
            ],
            "before": {
                "public.orders": latencies(0.006, 0.011),
                "public.customers": latencies(0.005, 0.012),
                "public.order_lines": latencies(0.006, 0.010),
            },
            "during": {
                "public.orders": latencies(6.02, 6.12, 180),
                "public.customers": latencies(2.1, 2.19, 160),
                "public.order_lines": latencies(0.009, 0.031),
            },
            "back": {
                "public.orders": latencies(5.1, 5.2, 150),
                "public.customers": latencies(0.007, 0.013),
                "public.order_lines": latencies(0.008, 0.02),
            },
            "after": {
                "public.orders": latencies(0.006, 0.011),
                "public.customers": latencies(0.005, 0.009),
                "public.order_lines": latencies(0.006, 0.011),
            },
        },
        "back": {
            "same_schema": True,
            "same_rows": False,
            "again_same": True,
            "seconds": 5.3,
            "differences": [
                "public.orders: 1,204 of 2,000,000 rows differ: total was rounded from NUMERIC(14, 4) to NUMERIC(12, 2)"
            ],
        },
        "at_production_size": {
            first: {"low": 74.0, "high": 118.0, "rows": 31_000_000},
            second: {"low": 19.0, "high": 31.0, "rows": 2_900_000},
        },
        "verdict": {
            "ok": False,
            "judged": True,
            "findings": [
                {
                    "revision": first,
                    "rule": "type-rewrites",
                    "sql": "ALTER TABLE orders ALTER COLUMN total TYPE NUMERIC(14, 4)",
                    "what": "Reads and writes of orders waited for 6.1 s",
                    "why": "The new type rewrites the table and its indexes under ACCESS EXCLUSIVE: "
                    "74 s to 118 s for the 31,000,000 rows of production",
                    "instead": 'total = TypeChange("orders", "total", Numeric(14, 4), existing_type=Numeric(12, 2))\n'
                    "total.expand()",
                    "instead_down": "total.undo_expand()",
                    "advice": "Deploy it, then call total.contract() in a later revision",
                },
                {
                    "revision": second,
                    "rule": "index-blocks-writes",
                    "sql": "CREATE UNIQUE INDEX ix_customers_email ON customers (lower(email))",
                    "what": "Writes to customers waited for 2.2 s",
                    "why": "Writers wait until the index is built",
                    "instead": 'create_index_if_missing("ix_customers_email", "customers", [text("lower(email)")], '
                    "unique=True)",
                    "instead_down": 'drop_index_if_exists("ix_customers_email", "customers")',
                },
            ],
        },
        "timeline": {
            "phases": [
                ["before", 0, 10],
                ["during", 10, 18.9],
                ["after", 18.9, 21],
                ["back", 22, 27.6],
                ["again", 27.6, 34],
            ],
            "statements": [[10.1, 10.104], [10.11, 10.32], [10.33, 16.43], [16.6, 18.8], [22.1, 22.106], [22.2, 27.4]],
            "tables": {
                "public.orders": {
                    "samples": requests(34, [(10.33, 16.43), (22.2, 27.4)], 1),
                    "blocked": [[10.1, 10.104, "brief"], [10.33, 16.43, "all wait"], [22.2, 27.4, "all wait"]],
                },
                "public.customers": {
                    "samples": requests(34, [(16.6, 18.8)], 2),
                    "blocked": [[16.6, 18.8, "writes wait"], [22.1, 22.106, "brief"]],
                },
                "public.order_lines": {"samples": requests(34, [], 3), "blocked": []},
            },
        },
    }


def good() -> dict[str, Any]:
    """The same changes by helpers."""
    result = blocking()
    first, second = (one["revision"] for one in result["revisions"])
    batches = [
        statement(
            first,
            "UPDATE orders SET safeops_total = total WHERE id > $1 AND id <= $2",
            0.09,
            locks={"public.orders": "ROW EXCLUSIVE"},
            rows=20_000,
            wal_bytes=4_000_000,
        )
        for _ in range(100)
    ]
    spans = [[10.3 + number * 0.1, 10.39 + number * 0.1] for number in range(100)]
    calm = {table: latencies(0.008, 0.038) for table in result["traffic"]["before"]}
    return {
        **result,
        "summary": "Ready: 2 revisions ran in 13 s; no statement of the application failed or took longer than 38 ms, "
        "and no write was lost; the downgrade leads back.",
        "revisions": [
            {"revision": first, "message": "orders get a wider total", "seconds": 10.3},
            {"revision": second, "message": "index of the customers' e-mail", "seconds": 3.1},
        ],
        "statements": [
            statement(
                first,
                "ALTER TABLE orders ADD COLUMN safeops_total NUMERIC(14, 4)",
                0.004,
                locks={"public.orders": "ACCESS EXCLUSIVE"},
                longest_wait=0.006,
            ),
            *batches,
            statement(
                second,
                "CREATE UNIQUE INDEX CONCURRENTLY ix_customers_email ON customers (lower(email))",
                3.1,
                locks={"public.customers": "SHARE UPDATE EXCLUSIVE"},
                built=["public.customers"],
                scanned={"public.customers": 240_000},
                wal_bytes=9 * 2**20,
            ),
            statement(
                second,
                "DROP INDEX CONCURRENTLY ix_customers_email",
                0.02,
                direction="down",
                locks={"public.customers": "SHARE UPDATE EXCLUSIVE"},
            ),
            statement(
                first,
                "ALTER TABLE orders DROP COLUMN safeops_total",
                0.005,
                direction="down",
                locks={"public.orders": "ACCESS EXCLUSIVE"},
                longest_wait=0.004,
            ),
        ],
        "waits": [],
        "traffic": {
            **result["traffic"],
            "longest_wait": 0.038,
            "errors": [],
            **dict.fromkeys(("before", "during", "back", "after"), calm),
        },
        "back": {"same_schema": True, "same_rows": True, "again_same": True, "seconds": 0.4, "differences": []},
        "at_production_size": {
            first: {"low": 140.0, "high": 190.0, "rows": 31_000_000},
            second: {"low": 31.0, "high": 44.0, "rows": 2_900_000},
        },
        "verdict": {"ok": True, "judged": True, "findings": []},
        "timeline": {
            "phases": [
                ["before", 0, 10],
                ["during", 10, 23.6],
                ["after", 23.6, 25.6],
                ["back", 26, 27],
                ["again", 27, 34],
            ],
            "statements": [[10.1, 10.104], *spans, [20.4, 23.5], [26.1, 26.12], [26.2, 26.205]],
            "tables": {
                "public.orders": {
                    "samples": requests(34, [], 4),
                    "blocked": [[10.1, 10.104, "brief"], [26.2, 26.205, "brief"]],
                },
                "public.customers": {"samples": requests(34, [], 5), "blocked": []},
                "public.order_lines": {"samples": requests(34, [], 6), "blocked": []},
            },
        },
    }


FINDING = ("revision", "rule", "sql", "what", "why", "instead", "instead_down")
HOSTILE = "</script><script>alert(1)</script> \"'&<b> ${7*7} <%x%> $\\frac$ \u202e\x00\ud800 Ünïcödé 表 🙂"


def hostile(tables: int = 40, statements: int = 200) -> dict[str, Any]:
    """Many tables and statements with names and texts that try to leave their place."""
    names = [f"{HOSTILE}.{number}" for number in range(tables)]
    sql = f"-- {HOSTILE}\n" + "SELECT 'ä' /* long */ " * 400
    waits = [(10.0, 11.5)]
    result = blocking()
    result |= {
        "summary": HOSTILE,
        "waits": [wait(None, HOSTILE, HOSTILE, HOSTILE, 1.0) | {"behind": HOSTILE} for _ in range(50)],
        "server": HOSTILE,
        "measured": [HOSTILE],
        "revisions": [{"revision": HOSTILE, "message": HOSTILE, "seconds": 20.0}],
        "statements": [
            statement(
                HOSTILE,
                f"{sql} {chr(0x4E00 + number)}",
                0.05,
                locks={names[number % tables]: HOSTILE},
                rewrote=[HOSTILE],
            )
            for number in range(statements)
        ],
        "back": {
            "same_schema": False,
            "same_rows": None,
            "seconds": 1.0,
            "differences": [HOSTILE],
            "again_same": False,
        },
        "at_production_size": {HOSTILE: {"low": 1.0, "high": 2.0, "rows": 5}},
        "copy": {"kind": HOSTILE, "rows": dict.fromkeys(names, 1000)},
        "verdict": {"ok": False, "judged": True, "findings": [dict.fromkeys((*FINDING, "advice"), HOSTILE)]},
        "timeline": {
            "phases": [[HOSTILE, 0, 34]],
            "statements": [[10 + number * 0.05, 10.05 + number * 0.05] for number in range(statements)],
            "tables": {
                name: {"samples": requests(34, waits, number), "blocked": [[10.0, 11.5, "all wait"]]}
                for number, name in enumerate(names)
            },
        },
    }
    traffic = {name: latencies(0.9, 1.5) for name in names}
    result["traffic"] |= {
        "before": traffic,
        "during": traffic,
        "back": {},
        "after": {},
        "lost": 1,
        "errors": [{"table": HOSTILE, "sql": sql, "message": HOSTILE, "code": HOSTILE, "count": 3}],
        "lost_rows": [{"table": HOSTILE, "key": HOSTILE, "column": HOSTILE, "expected": HOSTILE, "found": None}],
    }
    return result


SAMPLES = {"blocking": blocking, "good": good, "hostile": hostile, "empty": dict}


if __name__ == "__main__":
    from safeops.rehearse.reports.html import html

    for name, sample in SAMPLES.items():
        path = Path(sys.argv[1]) / f"{name}.html"
        path.write_text(html(sample()), encoding="utf-8")
        print(f"{path}: {path.stat().st_size:,} bytes")
