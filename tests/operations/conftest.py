"""What the tests of the helpers share."""

import pytest
from tests.servers import Database, has_ability
from tests.whole import several

pytest.register_assert_rewrite("tests.operations.shape")

FILLER = """
DO $$ BEGIN
  CREATE SCHEMA filler;
  CREATE TABLE filler.users (id integer PRIMARY KEY, name text);
  FOR i IN 1..%s LOOP
    EXECUTE format('CREATE TABLE filler.t%s (id integer PRIMARY KEY, name text UNIQUE, age integer CHECK (age > 0))', i);
  END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def crowded(servers):
    """A database with many tables in addition to the schema of a test."""
    server = servers("pg18")
    database = Database(server.new_database(), server)
    database.execute(FILLER.replace("1..%s", f"1..{several(200, 2000)}"))
    return database


@pytest.fixture(autouse=True)
def has_what_the_helper_needs(request):
    """Skips databases that lack what the helper of the class creates."""
    needs = getattr(request.cls, "needs", ())
    if needs and "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        lacking = [ability for ability in needs if not has_ability(server, ability)]
        if lacking:
            pytest.skip(f"{server.kind} lacks {', '.join(lacking)}")
