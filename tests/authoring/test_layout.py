"""Generated code is laid out as ruff format lays it out, and means the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.authoring.checks import assert_accepted

from safeops.authoring.layout import laid_out, literal

LONG = "a_name_that_is_as_long_as_names_come"
SAMPLES = (
    "pass",
    "# only a comment\npass\n# and one after it",
    "op.drop_column('users', 'name')",
    "op.create_table('users',\nsa.Column('id', sa.Integer(), nullable=False),\nsa.PrimaryKeyConstraint('id')\n)",
    f"op.create_index(op.f('ix_{LONG}'), '{LONG}', ['{LONG}', sa.literal_column('lower(b)')], unique=False)",
    f"op.create_foreign_key(None, '{LONG}', '{LONG}', ['team_id'], ['id'])",
    f"sa.Column('{LONG}', sa.Enum('new', 'old', name='{LONG}'), server_default=sa.text(\"'it''s'\"), comment='b')",
    f"with op.batch_alter_table('users', schema=None) as batch_op:\n"
    f"    batch_op.drop_index('a')\n    # why\n    batch_op.create_index('{LONG}', ['{LONG}', 'bbbbbbbb'], unique=True)\n\n"
    "op.drop_table('teams')",
    f"change = ColumnRename('{LONG}', '{LONG}', '{LONG}', schema='crm')",
    f"report: BackfillReport = backfill('{LONG}', {{'{LONG}': sa.text('lower(x)'), 'b': 1}}, where=True)",
    f"down_revision: str | Sequence[str] | None = ('{LONG}', '{LONG}', '{LONG}')",
    f"raise NotImplementedError('{LONG}', '{LONG}', '{LONG}')",
    f'op.execute("{LONG} it\'s {LONG} and more than a line can take, so that it stays as it is {LONG}")',
    "f(-1, +x, not y, a and b, a < b <= c, lambda: 3, (1,), (), [], {}, *a, b'x', 1.5, None, ..., x[1:2], **k)",
    f"op.add_column('{LONG}', sa.Column('p', sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), 'x')))",
    f"{LONG}.{LONG}.{LONG}.f()",
    "t = sa.Column('x', sa.String(length=1500).with_variant(sa.String(length=1500, collation='latin1_cs'), 'mysql'))",
    f"sa.Column('{LONG}', sa.Text().with_variant(sa.String(9), 'mysql').with_variant(sa.String(length=10), 'x'), key='a')",
    f"sa.Column('{LONG}', type_=sa.String(9).with_variant(sa.String(length=9, collation='{LONG}{LONG}a'), 'mysql')"
    ".with_variant(sa.Text(), 'sqlite'), nullable=False)",
    "op.execute('say \"hi\"')",
    "op.execute('back\\\\slash, \\n, \\x00, ü, \\u2028, both \\' and \"')",
    "return",
    "irreversible('why')",
)
KEPT = (
    "op.drop_column('t', 'x')  # a comment of its own",
    "op.execute('''\nSELECT 1\n''')",
    "op.execute(f'{x}')",
    "op.execute(r'\\d')",
    "op.execute('a' 'b')",
    "if x:\n    op.f()",
    f"x = 'a string that fits on a line of its own only, which is for parentheses {LONG}'",
    f"sa.Column('{LONG}').{LONG}.f('{LONG}', '{LONG}')",
    "x = 2 ** 3",
)


def _same(source: str) -> str:
    new = laid_out(source)
    assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(source))
    assert laid_out(new) == new
    return new


def test_each_sample_is_as_ruff_format_has_it(tmp_path: Path) -> None:
    for number, sample in enumerate(SAMPLES):
        source = laid_out(sample, depth=1)
        (tmp_path / f"sample_{number}.py").write_text(f"def f():\n{source}\n", encoding="utf-8")
        (tmp_path / f"flat_{number}.py").write_text(f"{_same(sample)}\n".replace("return", "pass"), encoding="utf-8")
    assert_accepted(tmp_path.glob("*.py"), check=False)


@pytest.mark.parametrize("source", KEPT)
def test_what_cannot_be_laid_out_stays_as_it_is(source: str) -> None:
    assert _same(source) == source


@pytest.mark.parametrize("source", ["a(); b('x')", "with x: a('y')", "with x('a'\n):\n    pass"])
def test_statements_that_share_a_line_are_kept(source: str) -> None:
    _same(source)


@given(st.text())
@settings(deadline=None)
def test_a_string_is_itself_in_source(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text
    assert ast.literal_eval(literal(text.encode("utf-8", "replace"))) == text.encode("utf-8", "replace")


_ATOMS = st.one_of(st.text(max_size=30).map(literal), st.integers().map(str), st.sampled_from(["None", "True", "x.y"]))


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(inner, max_size=4).map(", ".join)
    pairs = st.lists(st.tuples(st.text(max_size=5).map(literal), inner), max_size=3)
    names = st.lists(
        st.tuples(st.sampled_from(["name", "schema", "where"]), inner), max_size=3, unique_by=lambda x: x[0]
    )
    return st.one_of(
        items.map(lambda text: f"[{text}]"),
        items.map(lambda text: f"sa.Column({text})"),
        pairs.map(lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found) + "}"),
        names.map(lambda found: "f(" + ", ".join(f"{key}={value}" for key, value in found) + ")"),
    )


@given(st.recursive(_ATOMS, _nested, max_leaves=15))
@settings(deadline=None, max_examples=50)
def test_any_expression_means_the_same(expression: str) -> None:
    _same(f"op.f({expression})")
