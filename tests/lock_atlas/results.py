"""The results that the project keeps, by server and case."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import MYSQL, POSTGRESQL

FILE = Path(os.environ.get("ATLAS", Path(__file__).parent / "results.json"))
SERVERS = [*POSTGRESQL, *MYSQL]


@dataclass
class Results:
    """What was traced.

    Args:
        servers: By the name of a server its version and its cases.
    """

    servers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Results:
        return cls(json.loads(FILE.read_text()) if FILE.exists() else {})

    def put(self, name: str, version: tuple[int, ...], entries: Mapping[str, Any]) -> None:
        self.servers[name] = {"version": ".".join(map(str, version)), "cases": dict(entries)}

    def entries(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.servers[name]["cases"]
        return found

    def write(self) -> None:
        ordered = {name: self.servers[name] for name in SERVERS if name in self.servers}
        FILE.write_text(_text(ordered))


def _text(servers: Mapping[str, Any]) -> str:
    """Return JSON with a line for each case, so a difference shows which ones have changed."""
    parts = []
    for name, server in servers.items():
        lines = ",\n".join(f"  {json.dumps(case)}: {json.dumps(entry)}" for case, entry in server["cases"].items())
        parts.append(f'{json.dumps(name)}: {{"version": {json.dumps(server["version"])}, "cases": {{\n{lines}\n}}}}')
    return "{" + ",\n".join(parts) + "}\n"
