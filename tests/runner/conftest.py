"""What the commands find on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.servers import MySQL, Server


@pytest.fixture(autouse=True)
def programs_of_the_server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Have MySQL dumped by the mysqldump of MySQL: MariaDB has a program of that name too."""
    if "server_name" not in request.fixturenames or request.getfixturevalue("server_name") != "mysql97":
        return
    server: Server = request.getfixturevalue("server")
    assert isinstance(server, MySQL)
    # These alone: their folder can also contain programs of another system.
    folder = tmp_path_factory.mktemp("programs")
    for program in (server.client, server.dump):
        (folder / Path(program).name).symlink_to(program)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
