"""What the calls in a revision do and why each is safe: the docstring of a revision, for its reviewer."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from safeops.authoring.layout import WIDTH

GO_ON = "while readers and writers go on (SQLite: writers wait)"


class Kind(NamedTuple):
    """What several calls of one helper have in common, in words."""

    text: str
    noun: str = ""
    """What a verb in ``text`` is about, to be counted; empty if ``text`` is all."""
    archived: bool = False


class Description(NamedTuple):
    """What a call does, why that is safe, and its place between deploys."""

    what: str
    why: str
    phase: str
    kind: Kind


class Helper(NamedTuple):
    """What calls of a helper do to the names among their arguments, which ``what`` has in braces, and why that is safe."""

    what: str
    why: str
    phase: str = ""
    noun: str = ""
    """What ``what`` is about, to be counted; empty if calls of the helper are not counted as things."""
    kind: str = ""
    """What all calls of the helper do, if it is not how ``what`` begins."""

    def kind_of_calls(self, archived: bool) -> Kind:
        begins = self.what.partition(f" {self.noun} " if self.noun else "{")[0].rstrip()
        return Kind(self.kind or begins, self.noun, archived)


_IN_SYNC = (
    f"Triggers keep both in step, whichever the application writes; rows are filled in short batches, indexes and "
    f"constraints built {GO_ON}."
)
_CHECKED = "Refuses unless both agree on every row; the exchange locks the table for a moment."
_MOMENT = "The lock on the table lasts a moment (SQLite may rewrite it meanwhile)"
_UNUSED = "Deploy the application that no longer uses it before it."

HELPERS = {
    "add_column_if_missing": Helper("adds column {1} to {0}", f"{_MOMENT}; no row is rewritten.", noun="column"),
    "add_enum_value_if_missing": Helper("adds value {1} to type {0}", "No table is locked.", noun="value"),
    "add_required_column": Helper(
        "adds column {1} to {0}, fills it, and makes it NOT NULL",
        f"It is added empty, filled in short batches, and checked {GO_ON}; new rows are filled from the start.",
        noun="column",
    ),
    "alter_column_type": Helper("changes the type of {0}.{1}", f"{_MOMENT}; refused where rows would be rewritten."),
    "backfill": Helper("fills {1} of {0}", "Short batches, each committed with its checkpoint; a stopped run goes on."),
    "create_check_constraint_if_missing": Helper(
        "adds check {0} to {1}", f"Rows are checked {GO_ON}; MariaDB cannot, and asks for assured().", noun="check"
    ),
    "create_enum_if_missing": Helper("creates type {0}", "No table is locked.", noun="type"),
    "create_exclude_constraint_if_missing": Helper(
        "adds exclusion {0} to {1}", "TODO Writers wait while its index is built: say for how long.", noun="exclusion"
    ),
    "create_foreign_key_if_missing": Helper(
        "adds foreign key {0} from {1} to {2}",
        f"Both tables are locked for a moment; the rows are checked {GO_ON}.",
        noun="foreign key",
    ),
    "create_index_if_missing": Helper("builds index {0} on {1}", f"It is built {GO_ON}.", noun="index"),
    "create_primary_key_if_missing": Helper("makes {2} the primary key of {1}", f"Its index is built {GO_ON}."),
    "create_schema_if_missing": Helper("creates schema {0}", "No table is locked.", noun="schema"),
    "create_table_if_missing": Helper("creates table {0}", "Nobody uses a new table yet.", noun="table"),
    "create_unique_constraint_if_missing": Helper(
        "makes {2} of {1} unique", f"Its index is built {GO_ON}.", kind="makes ... unique"
    ),
    "drop_column_if_exists": Helper("drops column {1} of {0}", f"{_MOMENT}.", _UNUSED, noun="column"),
    "drop_constraint_if_exists": Helper("drops constraint {0} of {1}", f"{_MOMENT}.", noun="constraint"),
    "drop_enum_if_exists": Helper("drops type {0}", "Refused while a column has it.", noun="type"),
    "drop_index_if_exists": Helper("drops index {0} of {1}", f"It is dropped {GO_ON}.", noun="index"),
    "drop_schema_if_exists": Helper("drops schema {0}", "Refused while anything is in it.", noun="schema"),
    "drop_table_if_exists": Helper("drops table {0}", f"{_MOMENT}.", _UNUSED, noun="table"),
    "enforce_not_null": Helper("makes {0}.{1} NOT NULL", f"Rows are checked {GO_ON}.", kind="makes ... NOT NULL"),
    "forget_backfill": Helper("forgets backfill {0}; the values stay", "No table is locked."),
    "irreversible": Helper("is refused: {0}", "Nothing is done."),
    "relax_not_null": Helper("lets {0}.{1} be NULL", f"{_MOMENT}.", kind="lets ... be NULL"),
    "restore_column": Helper(
        "brings column {1} of {0} back, with its values", "Filled in short batches.", noun="column"
    ),
    "restore_table": Helper("brings table {0} back, with its rows", f"{_MOMENT}.", noun="table"),
    "set_comment": Helper("sets the comment of {0}.{1}", "Readers and writers go on; no row is touched."),
    "set_server_default": Helper("sets the default of {0}.{1}", f"{_MOMENT}; no row is touched."),
    "validate_constraint": Helper("validates {0} of {1}", f"Rows are checked {GO_ON}."),
    "ColumnRename.expand": Helper(
        "adds {0}.{2} beside {1}, filled and in step", _IN_SYNC, "1 of 2, expand.", kind="adds ..., filled and in step"
    ),
    "ColumnRename.contract": Helper(
        "drops {0}.{1}; {2} has taken its place", _CHECKED, "2 of 2, contract.", kind="drops ... has taken its place"
    ),
    "ColumnRename.undo_expand": Helper(
        "drops {0}.{2}; {1} has every write", _CHECKED, kind="drops ... has every write"
    ),
    "ColumnRename.undo_contract": Helper("brings {0}.{1} back, filled and in step with {2}", _IN_SYNC),
    "TableRename.expand": Helper(
        "gives {0} the name {1}; the old name goes on working", f"{_MOMENT}.", "1 of 2, expand."
    ),
    "TableRename.contract": Helper(
        "takes the name {0} away; {1} stays", f"{_MOMENT}.", "2 of 2, contract.", kind="takes the name ... stays"
    ),
    "TableRename.undo_expand": Helper("gives {1} the name {0} again", f"{_MOMENT}.", kind="gives ... again"),
    "TableRename.undo_contract": Helper("brings the name {0} back beside {1}", f"{_MOMENT}."),
    "TypeChange.expand": Helper(
        "adds a copy of {0}.{1} in its new type, filled and in step",
        _IN_SYNC,
        "1 of 3, expand.",
        kind="adds a copy of ... in its new type, filled and in step",
    ),
    "TypeChange.switch": Helper(
        "gives {0}.{1} its new type; the old column stays in step",
        _CHECKED,
        "2 of 3, switch.",
        kind="gives ... its new type",
    ),
    "TypeChange.contract": Helper("drops the column of the old type of {0}.{1}", f"{_MOMENT}.", "3 of 3, contract."),
    "TypeChange.undo_expand": Helper("drops the copy of {0}.{1}", f"{_MOMENT}."),
    "TypeChange.undo_switch": Helper(
        "gives {0}.{1} its old type back; both stay in step", _CHECKED, kind="gives ... its old type back"
    ),
    "TypeChange.undo_contract": Helper(
        "brings the column of the old type of {0}.{1} back",
        _IN_SYNC,
        kind="brings the column of the old type of ... back",
    ),
}


def described(body: str, module: str = "") -> Iterator[Description]:
    """Describe each call of a body; ``module`` has the values that it uses by name."""
    values = {
        target.id: statement.value
        for statement in _statements(module + "\n" + body)
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for statement in _statements(body):
        if isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Call):
            yield _description(statement.value, values)


def _statements(source: str) -> Iterator[ast.stmt]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.stmt))


def _description(node: ast.Call, values: dict[str, ast.expr]) -> Description:
    called, arguments = ast.unparse(node.func), node.args
    if isinstance(node.func, ast.Attribute):
        owner = _value(node.func.value, values)
        if isinstance(owner, ast.Call):
            called, arguments = f"{ast.unparse(owner.func)}.{node.func.attr}", owner.args
    shown = [_shown(_value(argument, values)) for argument in arguments]
    helper = HELPERS.get(called)
    if helper is None:
        on = f" on {shown[0]}" if shown else ""
        todo = f"TODO {called} is not of safeops: say what it locks, and for how long."
        return Description(f"calls {called}{on}", todo, "", Kind(f"calls {called}"))
    archived = any(option.arg == "archive" for option in node.keywords)
    replaces = any(
        option.arg == "if_different" and ast.unparse(option.value) == "'replace'" for option in node.keywords
    )
    what = helper.what.format(*shown, *["?"] * 3)
    what += ", in the place of the one of that name" if replaces else ""
    what += ", keeping what is in it in an archive" if archived else ""
    return Description(what, helper.why, helper.phase, helper.kind_of_calls(archived))


def _value(node: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    return values.get(node.id, node) if isinstance(node, ast.Name) else node


def _shown(node: ast.expr) -> str:
    """Name an argument: a string is itself, a list or mapping its items, a call such as sa.Column(...) its first one."""
    match node:
        case ast.Constant(value=str(text)):
            return " ".join(text.split())
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(keys=items):
            return ", ".join(_shown(item) for item in items if item)
        case ast.Call(args=[first, *_]):
            return _shown(first)
    return ast.unparse(node)


MANY = 5
"""More calls than these are counted by their kinds."""


def summary(calls: Sequence[Description]) -> str:
    """Say what calls do, of many of a kind how many."""
    each = dict.fromkeys(call.what for call in calls)
    if len(each) <= MANY:
        return "; ".join(each) + "." if each else ""
    kinds: dict[Kind, list[str]] = {}
    for call in calls:
        kinds.setdefault(call.kind, []).append(call.what)
    return "; ".join(same[0] if len(same) == 1 else _counted(kind, len(same)) for kind, same in kinds.items()) + "."


def reasons(calls: Sequence[Description]) -> str:
    """Say why calls are safe; of many, which calls each reason is about."""
    if len(dict.fromkeys(call.what for call in calls)) <= MANY:
        return " ".join(dict.fromkeys(call.why for call in calls))
    kinds: dict[str, list[str]] = {}
    for call in calls:
        kinds.setdefault(call.why, []).append(_several(call.kind))
    labels = {why: ", ".join(dict.fromkeys(of)) for why, of in kinds.items()}
    return " ".join(f"{label[:1].upper()}{label[1:]}: {_continued(why)}" for why, label in labels.items())


def _counted(kind: Kind, number: int) -> str:
    if not kind.noun:
        return f"{kind.text} ({number} times)"
    archived = ", keeping what is in them in archives" if kind.archived else ""
    return f"{kind.text} {number} {_plural(kind.noun)}{archived}"


def _several(kind: Kind) -> str:
    return f"{kind.text} {_plural(kind.noun)}" if kind.noun else kind.text


def _continued(sentence: str) -> str:
    return sentence if sentence[:2].isupper() else f"{sentence[:1].lower()}{sentence[1:]}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"


# The docstring --------------------------------------------------------------------------------------------------


def paragraph(label: str, text: str, missing: str) -> str:
    """Wrap the text after a label; an indented line is a command, and stays whole."""
    lines = in_docstring(f"{label}: {text or f'TODO {missing}'}").split("\n")
    wrapped = [line if line.startswith(" ") else _wrapped(line) for line in lines]
    return "\n".join(wrapped).removeprefix(f"{label}:").strip()


def _wrapped(line: str) -> str:
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", **options)


def in_docstring(text: str) -> str:
    """Escape text for a docstring, and as ``ruff format`` leaves it."""
    shown = "".join(each if each == "\n" or each.isprintable() else " " for each in text.replace("\r\n", "\n"))
    shown = "\n".join(line.rstrip() for line in shown.strip().split("\n"))
    return shown.replace("\\", r"\\").replace('"""', r"\"\"\"")
