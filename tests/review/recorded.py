"""Projects of a few revisions, and what a review records of them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from alembic.config import Config

from safeops.judging.sent import Recording, Sent
from safeops.review.offline import environment_of
from safeops.review.replay import Replay

ENV = """
from alembic import context
from sqlalchemy import create_engine

config = context.config
url = config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = '''"""A revision."""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}

{head}
def upgrade():
{body}

def downgrade():
    pass
'''
PSYCOPG = "postgresql+psycopg://nobody@127.0.0.1:1/app"


def project(folder: Path, *bodies: str, url: str = PSYCOPG, env: str = ENV, head: str = "") -> Config:
    """Make a project whose revisions r0, r1, ... follow each other, with these bodies of ``upgrade()``."""
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text(env)
    (folder / "script.py.mako").write_text("")
    down = None
    for number, body in enumerate(bodies):
        revision = f"r{number}"
        indented = textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ")
        text = REVISION.format(revision=revision, down=down, head=textwrap.dedent(head), body=indented)
        (versions / f"{revision}_one.py").write_text(text)
        down = revision
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("sqlalchemy.url", url)
    return config


def recordings(config: Config, *wanted: str) -> list[Recording]:
    """Return what a review records of these revisions, or of all, without a database."""
    environment = environment_of(config)
    scripts = [script for script in environment.script.walk_revisions() if not wanted or script.revision in wanted]
    return [recording for _, _, recording in Replay(environment, scripts)]


def recorded(folder: Path, body: str, **options: str) -> Recording:
    """Return what a review records of one revision."""
    (recording,) = recordings(project(folder, body, **options))
    return recording


def statements(recording: Recording) -> list[Sent]:
    return [event for event in recording.events if isinstance(event, Sent)]


def sql(recording: Recording) -> list[str]:
    """Return the statements of a recording, each in one line."""
    return [" ".join(sent.sql.split()) for sent in statements(recording)]
