"""What to write in place of a change that breaks the release which is deployed: the same in two releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from safeops.databases.definitions import Column, Constraint, Table, names_in
from safeops.naming import Code, Name, call

SIMILAR = 0.6
"""The share of its columns that a table under another name must have, to be taken for a renamed one."""
LATER = "# in a revision of the next release, once no process of the old one runs:"

BY_TRIGGER = "# or, if SQL can compute it, have a trigger fill it until the next release calls it without keep_filled:"


@dataclass(frozen=True)
class Described:
    """A table of a database.

    Args:
        table: Its definition.
        types: The types of its columns, as code.
    """

    table: Table
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What a revision has made of a table that a release uses.

    Args:
        name: The table.
        used: The columns that the models of the release have.
        before: The tables of the database before the revision.
        now: Those after it.
        keeps_names: Whether a renamed table can keep its old name as a view on this database.
        fills: Whether a trigger can fill a required column on this database.
    """

    name: Name
    used: tuple[str, ...]
    before: Mapping[Name, Described]
    now: Mapping[Name, Described]
    keeps_names: bool = True
    fills: bool = True

    @property
    def is_gone(self) -> bool:
        return self.name in self.before and self.name not in self.now

    def columns(self, tables: Mapping[Name, Described]) -> Mapping[str, Column]:
        found = tables.get(self.name)
        return {} if found is None else found.table.columns

    def concerned(self, error: str) -> tuple[str, ...]:
        """Return the columns that an error names, or those of a new check that it names."""
        known = list(dict.fromkeys((*self.used, *self.columns(self.before), *self.columns(self.now))))
        found = mentioned(error, known)
        named = [one for one in self.new_checks if one.name in error]
        return tuple(found or [column for one in named for column in known if column in names_in(one)])

    @property
    def new_checks(self) -> list[Constraint]:
        was = {one.name for one in self.before[self.name].table.of_kind("check")} if self.name in self.before else set()
        is_ = self.now[self.name].table.of_kind("check") if self.name in self.now else []
        return [one for one in is_ if one.name not in was]


def mentioned(error: str, columns: Iterable[str]) -> list[str]:
    """Return the columns that an error names."""
    words = set(re.findall(r"\w+", error))
    return [column for column in columns if column in words]


@dataclass(frozen=True)
class Remedy:
    """What to do.

    Args:
        text: It as a sentence that introduces the code.
        code: The lines to write.
        rule: The rule of a review about the same change, which a comment in the revision can accept.
    """

    text: str
    code: str
    rule: str = ""


SPLIT = Remedy(
    "Split the change over two releases: first a revision with which both work, then the deploy, then one that removes what"
    " the old release needed. See https://alembic-safeops.readthedocs.io/en/latest/explanation/expand-contract.html",
    "",
)


def rule_of(change: Change, column: str) -> str:
    """Return the rule of a review that is about such a change; empty if there is none."""
    found = _one(change, column)
    return found.rule if found is not None else ""


def remedy_of(broken: Iterable[tuple[Change, str]]) -> Remedy:
    """Return what to write instead.

    Args:
        broken: What has happened to each table that no longer works, and the column that the errors are about; empty if
            none is known.
    """
    found = list(dict.fromkeys(remedy for change, column in broken if (remedy := _one(change, column)) is not None))
    if not found:
        return SPLIT
    first, *others = found
    code = [first.code, *(f"# {one.text}\n{one.code}" if one.text != first.text else one.code for one in others)]
    if rules := ", ".join(dict.fromkeys(one.rule for one in found if one.rule)):
        code.append(f"# or, if the old release is stopped before the upgrade:\n# safeops: allow {rules} -- why")
    return Remedy(first.text, "\n".join(dict.fromkeys(code)))


def _one(change: Change, column: str) -> Remedy | None:
    if change.is_gone:
        return _gone_table(change)
    was, is_ = change.columns(change.before).get(column), change.columns(change.now).get(column)
    if is_ is None:
        return _gone_column(change, column) if was is not None else None
    if was is None:
        return _required(change, column) if column not in change.used and not is_.nullable else None
    if was.nullable and not is_.nullable:
        return _not_null(change, column)
    if was.type != is_.type:
        return _other_type(change, column)
    if was.default is not None and is_.default is None:
        return _default(change, column)
    return next((_check(change, one) for one in change.new_checks if column in names_in(one)), None)


# Tables ---------------------------------------------------------------------------------------------------------


def _gone_table(change: Change) -> Remedy:
    old, schema = change.name.name, change.name.schema
    new = next(iter(_similar(change)), None)
    if new is not None and not change.keeps_names:
        return Remedy(
            "This database cannot keep a table under two names. Stop the old release before the upgrade, and start the new"
            " one after it; or create the new table, have a release write both, and drop the old one in the next release.",
            "",
            "rename-table",
        )
    if new is not None:
        rename = call("TableRename", old, new.name, schema=schema)
        return Remedy(
            "Keep both names until no process of the old release runs: the old one becomes a view.",
            f"rename = {rename}\nrename.expand()\n{LATER}\nrename.contract()",
            "rename-table",
        )
    drop = call("drop_table_if_exists", old, schema=schema, archive=True)
    return Remedy(
        "Deploy a release that does not use the table, and drop it after that.", f"{LATER}\n{drop}", "drop-table"
    )


def _similar(change: Change) -> Iterator[Name]:
    """Return tables that were not there before, and that have most columns of one that was dropped."""
    had = set(change.columns(change.before))
    for name, found in change.now.items():
        if name not in change.before and len(had & set(found.table.columns)) >= len(had) * SIMILAR:
            yield name


# Columns --------------------------------------------------------------------------------------------------------


def _call(change: Change, function: str, *arguments: object, **keywords: object) -> Code:
    return call(function, change.name.name, *arguments, schema=change.name.schema, **keywords)


def _gone_column(change: Change, column: str) -> Remedy:
    was, is_ = change.columns(change.before), change.columns(change.now)
    new = [one for one in is_ if one not in was and is_[one].type == was[column].type]
    gone = [one for one in was if one not in is_]
    if len(new) == len(gone) == 1:
        return Remedy(
            "Keep both names, in sync, until no process of the old release runs.",
            f"rename = {_call(change, 'ColumnRename', column, new[0])}\nrename.expand()\n{LATER}\nrename.contract()",
            "rename-column",
        )
    drop = _call(change, "drop_column_if_exists", column, archive=True)
    return Remedy(
        "Deploy a release that does not use the column, and drop it after that.", f"{LATER}\n{drop}", "drop-column"
    )


def _required(change: Change, column: str) -> Remedy:
    type_ = change.now[change.name].types.get(column, "...")
    described = f'sa.Column("{column}", {type_}, nullable=False'
    add = _call(change, "add_column_if_missing", Code(f'{described}, server_default="...")'))
    required = Code(f"{described})")
    later = _call(change, "add_required_column", required, populate=Code("..."))
    filled = _call(change, "add_required_column", required, populate=Code("sa.text(...)"), keep_filled=True)
    by_trigger = f"\n{BY_TRIGGER}\n{filled}" if change.fills else ""
    return Remedy(
        "Give the column a server default, which the INSERTs of the old release get; or add it nullable, and require it in"
        " the next release.",
        f"{add}\n# or, {LATER.removeprefix('# ')}\n{later}{by_trigger}",
    )


def _not_null(change: Change, column: str) -> Remedy:
    return Remedy(
        "Deploy a release that always writes the column (nullable=False in its model), and require it after that.",
        f"{LATER}\n{_call(change, 'enforce_not_null', column)}",
    )


def _other_type(change: Change, column: str) -> Remedy:
    type_ = Code(change.now[change.name].types.get(column, "..."))
    change_ = _call(change, "TypeChange", column, type_)
    return Remedy(
        "Deploy a release whose values fit both types, and change the type after that.",
        f"change = {change_}\nchange.expand()\n{LATER}\nchange.switch()",
    )


def _default(change: Change, column: str) -> Remedy:
    return Remedy(
        "Deploy a release that always writes the column, and remove the default after that.",
        f"{LATER}\n{_call(change, 'set_server_default', column, None)}",
    )


def _check(change: Change, check: Constraint) -> Remedy:
    create = call(
        "create_check_constraint_if_missing",
        check.name,
        change.name.name,
        check.expression or "...",
        schema=change.name.schema,
    )
    return Remedy(
        "Deploy a release that writes no such value, and add the constraint after that.", f"{LATER}\n{create}"
    )
