"""What the calls in a revision do and why each is safe, in the words that a reviewer reads at the head of the file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

GO_ON = "while readers and writers go on (SQLite: writers wait)"


class Deed(NamedTuple):
    """A call: what it does to the names among its arguments, why that is safe, and where it stands between deploys."""

    what: str
    why: str
    phase: str = ""
    kind: str = ""
    """What calls of the same helper have in common: "creates table"."""


_IN_STEP = (
    f"Triggers keep both in step, whichever the application writes; rows are filled in short batches, indexes and "
    f"constraints built {GO_ON}."
)
_CHECKED = "Refuses unless both agree on every row; the exchange locks the table for a moment."
_MOMENT = "The lock on the table lasts a moment (SQLite may rewrite it meanwhile)"
_UNUSED = "Deploy the application that no longer uses it before it."

DEEDS = {
    "add_column_if_missing": Deed("adds column {1} to {0}", f"{_MOMENT}; no row is rewritten."),
    "add_enum_value_if_missing": Deed("adds value {1} to type {0}", "No table is locked."),
    "add_required_column": Deed(
        "adds column {1} to {0}, fills it, and makes it NOT NULL",
        f"It is added empty, filled in short batches, and checked {GO_ON}; new rows are filled from the start.",
    ),
    "alter_column_type": Deed("changes the type of {0}.{1}", f"{_MOMENT}; refused where rows would be rewritten."),
    "backfill": Deed("fills {1} of {0}", "Short batches, each committed with its checkpoint; a stopped run goes on."),
    "create_check_constraint_if_missing": Deed(
        "adds check {0} to {1}", f"Rows are checked {GO_ON}; MariaDB cannot, and asks for assured()."
    ),
    "create_enum_if_missing": Deed("creates type {0}", "No table is locked."),
    "create_exclude_constraint_if_missing": Deed(
        "adds exclusion {0} to {1}", "TODO Writers wait while its index is built: say for how long."
    ),
    "create_foreign_key_if_missing": Deed(
        "adds foreign key {0} from {1} to {2}",
        f"Both tables are locked for a moment; the rows are checked {GO_ON}.",
    ),
    "create_index_if_missing": Deed("builds index {0} on {1}", f"It is built {GO_ON}."),
    "create_primary_key_if_missing": Deed("makes {2} the primary key of {1}", f"Its index is built {GO_ON}."),
    "create_schema_if_missing": Deed("creates schema {0}", "No table is locked."),
    "create_table_if_missing": Deed("creates table {0}", "Nobody uses a new table yet."),
    "create_unique_constraint_if_missing": Deed("makes {2} of {1} unique", f"Its index is built {GO_ON}."),
    "drop_column_if_exists": Deed("drops column {1} of {0}", f"{_MOMENT}.", _UNUSED),
    "drop_constraint_if_exists": Deed("drops constraint {0} of {1}", f"{_MOMENT}."),
    "drop_enum_if_exists": Deed("drops type {0}", "Refused while a column has it."),
    "drop_index_if_exists": Deed("drops index {0} of {1}", f"It is dropped {GO_ON}."),
    "drop_schema_if_exists": Deed("drops schema {0}", "Refused while anything is in it."),
    "drop_table_if_exists": Deed("drops table {0}", f"{_MOMENT}.", _UNUSED),
    "enforce_not_null": Deed("makes {0}.{1} NOT NULL", f"Rows are checked {GO_ON}."),
    "forget_backfill": Deed("forgets backfill {0}; the values stay", "No table is locked."),
    "irreversible": Deed("is refused: {0}", "Nothing is done."),
    "relax_not_null": Deed("lets {0}.{1} be NULL", f"{_MOMENT}."),
    "restore_column": Deed("brings column {1} of {0} back, with its values", "Filled in short batches."),
    "restore_table": Deed("brings table {0} back, with its rows", f"{_MOMENT}."),
    "set_comment": Deed("sets the comment of {0}.{1}", "Readers and writers go on; no row is touched."),
    "set_server_default": Deed("sets the default of {0}.{1}", f"{_MOMENT}; no row is touched."),
    "validate_constraint": Deed("validates {0} of {1}", f"Rows are checked {GO_ON}."),
    "ColumnRename.expand": Deed("adds {0}.{2} beside {1}, filled and in step", _IN_STEP, "1 of 2, expand."),
    "ColumnRename.contract": Deed("drops {0}.{1}; {2} has taken its place", _CHECKED, "2 of 2, contract."),
    "ColumnRename.undo_expand": Deed("drops {0}.{2}; {1} has every write", _CHECKED),
    "ColumnRename.undo_contract": Deed("brings {0}.{1} back, filled and in step with {2}", _IN_STEP),
    "TableRename.expand": Deed(
        "gives {0} the name {1}; the old name goes on working", f"{_MOMENT}.", "1 of 2, expand."
    ),
    "TableRename.contract": Deed("takes the name {0} away; {1} stays", f"{_MOMENT}.", "2 of 2, contract."),
    "TableRename.undo_expand": Deed("gives {1} the name {0} again", f"{_MOMENT}."),
    "TableRename.undo_contract": Deed("brings the name {0} back beside {1}", f"{_MOMENT}."),
    "TypeChange.expand": Deed(
        "adds a copy of {0}.{1} in its new type, filled and in step", _IN_STEP, "1 of 3, expand."
    ),
    "TypeChange.switch": Deed("gives {0}.{1} its new type; the old column stays in step", _CHECKED, "2 of 3, switch."),
    "TypeChange.contract": Deed("drops the column of the old type of {0}.{1}", f"{_MOMENT}.", "3 of 3, contract."),
    "TypeChange.undo_expand": Deed("drops the copy of {0}.{1}", f"{_MOMENT}."),
    "TypeChange.undo_switch": Deed("gives {0}.{1} its old type back; both stay in step", _CHECKED),
    "TypeChange.undo_contract": Deed("brings the column of the old type of {0}.{1} back", _IN_STEP),
}


def deeds(body: str, module: str = "") -> Iterator[Deed]:
    """Yield what each call of a body does; ``module`` has the values that it uses by name."""
    values = {
        target.id: statement.value
        for statement in _statements(module + "\n" + body)
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for statement in _statements(body):
        if isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Call):
            yield _deed(statement.value, values)


def _statements(source: str) -> Iterator[ast.stmt]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.stmt))


def _deed(node: ast.Call, values: dict[str, ast.expr]) -> Deed:
    called = ast.unparse(node.func)
    arguments = node.args
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value
        owner = values.get(owner.id, owner) if isinstance(owner, ast.Name) else owner
        if isinstance(owner, ast.Call):
            called, arguments = f"{ast.unparse(owner.func)}.{node.func.attr}", owner.args
    shown = [_shown(values.get(one.id, one) if isinstance(one, ast.Name) else one) for one in arguments]
    known = DEEDS.get(called)
    if known is None:
        on = f" on {shown[0]}" if shown else ""
        todo = f"TODO {called} is not of safeops: say what it locks, and for how long."
        return Deed(f"calls {called}{on}", todo, kind=f"calls {called} ...")
    what = known.what.format(*shown, *["?"] * 3)
    kept = any(one.arg == "archive" for one in node.keywords)
    replaces = any(one.arg == "if_different" and ast.unparse(one.value) == "'replace'" for one in node.keywords)
    what += ", in the place of the one of that name" if replaces else ""
    what += ", keeping what is in it in an archive" if kept else ""
    return known._replace(what=what, kind=_common(known.what) + ("; archived" if kept else ""))


_NOUNS = "table|index|column|type|value|check|exclusion|foreign key|schema|constraint"


def _common(template: str) -> str:
    """Return what a deed is called without the names in it: "creates table", or "makes ... NOT NULL"."""
    named = re.match(rf"\w+ ({_NOUNS})(?= \{{)", template)
    return named[0] if named else re.sub(r"\{.*\}", "...", template).split(";")[0]


def _shown(node: ast.expr) -> str:
    """Name an argument: a string is itself, a list or mapping its items, a call such as sa.Column(...) its first one."""
    match node:
        case ast.Constant(value=str(text)):
            return " ".join(text.split())
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(keys=items):
            return ", ".join(_shown(one) for one in items if one)
        case ast.Call(args=[first, *_]):
            return _shown(first)
    return ast.unparse(node)


MANY = 5
"""More deeds than these are told by their numbers."""


def told(done: Sequence[Deed]) -> str:
    """Say what calls do, of many of a kind how many."""
    each = dict.fromkeys(one.what for one in done)
    if len(each) <= MANY:
        return "; ".join(each) + "." if each else ""
    kinds: dict[str, list[str]] = {}
    for one in done:
        kinds.setdefault(one.kind or one.what, []).append(one.what)
    return "; ".join(same[0] if len(same) == 1 else _counted(kind, len(same)) for kind, same in kinds.items()) + "."


def reasons(done: Sequence[Deed]) -> str:
    """Say why calls are safe, of many for each reason which calls it is about."""
    if len(dict.fromkeys(one.what for one in done)) <= MANY:
        return " ".join(dict.fromkeys(one.why for one in done))
    kinds: dict[str, list[str]] = {}
    for one in done:
        kinds.setdefault(one.why, []).append(_several(one.kind.partition(";")[0] or one.what))
    labels = {why: ", ".join(dict.fromkeys(of)) for why, of in kinds.items()}
    return " ".join(f"{label[:1].upper()}{label[1:]}: {_continued(why)}" for why, label in labels.items())


def _counted(kind: str, number: int) -> str:
    bare, _, kept = kind.partition("; ")
    verb, _, noun = bare.partition(" ")
    if "..." in bare:
        return f"{bare.removesuffix(' ...')} ({number} times)"
    return f"{verb} {number} {_plural(noun)}{', keeping what is in them in archives' if kept else ''}"


def _several(kind: str) -> str:
    verb, _, noun = kind.partition(" ")
    return f"{verb} {_plural(noun)}" if re.fullmatch(_NOUNS, noun) else kind.removesuffix(" ...")


def _continued(sentence: str) -> str:
    return sentence if sentence[:2].isupper() else f"{sentence[:1].lower()}{sentence[1:]}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"
