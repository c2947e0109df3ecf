"""What autogenerate writes of columns whose domain has rules, and of arrays, on a table that has rows (PostgreSQL)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN
from tests.authoring.authored import Authored, body, comments, models, users
from tests.servers import Database

from safeops import UnsafeOperation

pytestmark = pytest.mark.only("pg18")


@pytest.fixture
def authored(tmp_path: Path, database: Database) -> Authored:
    database.execute("CREATE DOMAIN above AS integer CHECK (value > 0)")
    return Authored(tmp_path, database)


def above() -> Any:
    return DOMAIN("above", sa.Integer(), check="VALUE > 0", create_type=False)


def test_a_column_of_a_domain_with_rules(authored: Authored) -> None:
    authored.run(models(users()))
    text = authored.write(models(users(sa.Column("size", above(), server_default="1", nullable=False))))
    assert "add_column_if_missing('users', sa.Column('size'" in body(text)
    assert "domain with constraints" in comments(text)
    assert 'create_check_constraint_if_missing("ck_users_size", "users", "(size > 0)")' in comments(text)
    authored.database.execute("INSERT INTO users (id) VALUES (1)")
    with pytest.raises(UnsafeOperation, match="ck_users_size"):
        authored.upgrade()
    authored.database.execute("DELETE FROM users")
    authored.upgrade()


def test_an_array_whose_element_grows_is_a_change_over_several_deploys(authored: Authored) -> None:
    authored.run(models(users(sa.Column("tags", sa.ARRAY(sa.String(5))))))
    authored.database.execute("INSERT INTO users (id, tags) VALUES (1, '{a}')")
    text = authored.write(models(users(sa.Column("tags", sa.ARRAY(sa.String(10))))))
    assert "TypeChange('users', 'tags', sa.ARRAY(sa.String(length=10))).expand()" in body(text)
    authored.upgrade()
