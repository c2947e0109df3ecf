"""dyn_helper_module_safe

Revision ID: k163
Revises: base0000
"""
import importlib.util
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "k163"
down_revision = "base0000"
branch_labels = None
depends_on = None

_spec = importlib.util.spec_from_file_location('key_steps', Path(__file__).parent / 'steps' / 'steps.py')
steps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(steps)


def upgrade() -> None:
    steps.add_audit_columns('orders')


def downgrade() -> None:
    pass
