"""The command in a message reaches the same project."""

from argparse import Namespace

from alembic.config import Config

from safeops.runner.revision_run import command_line


def test_a_command_names_the_project_it_was_about() -> None:
    url = "url=postgresql://app:secret@host/db"
    given = Namespace(config=["/srv/my app/alembic.ini"], name="tenants", x=["tenant=a b", url])
    config = Config(cmd_opts=given)
    assert command_line(config, "upgrade", "r2") == (
        "safeops -c '/srv/my app/alembic.ini' -n tenants -x 'tenant=a b' -x url=... upgrade r2"
    )
    assert command_line(Config(), "upgrade") == "safeops upgrade"
    assert command_line(Config(cmd_opts=Namespace(config=None, name="alembic", x=None)), "rollback", "-1") == (
        "safeops rollback -1"
    )
