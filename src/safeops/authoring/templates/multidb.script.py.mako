<%!
    from safeops.authoring import Page
%>\
## You can edit this file. Page has each part of a revision as text, in the layout of `ruff format`.
<% page = Page(context, engines=config.get_main_option("databases")) %>\
"""${page.message}

Revision ID: ${up_revision}
Revises: ${page.revises}
Create Date: ${create_date}

What: ${page.what}
Why it is safe: ${page.why_safe}
Phase: ${page.phase}
Roll back: ${page.roll_back}
"""

from __future__ import annotations

${page.imports}

revision: str = ${page.revision}
down_revision: str | Sequence[str] | None = ${page.down_revision}
branch_labels: str | Sequence[str] | None = ${page.branch_labels}
depends_on: str | Sequence[str] | None = ${page.depends_on}
% if page.module:

${page.module}
% endif


def upgrade(engine_name: str) -> None:
    globals()[f"upgrade_{engine_name}"]()


def downgrade(engine_name: str) -> None:
    globals()[f"downgrade_{engine_name}"]()
% for name, upgrade, downgrade in page.engines:


def upgrade_${name}() -> None:
    ${upgrade}


def downgrade_${name}() -> None:
    ${downgrade}
% endfor
