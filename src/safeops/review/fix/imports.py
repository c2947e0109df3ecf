"""The imports of a revision: what ``op`` is called in it, and which names it imports from safeops."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import libcst as cst
import libcst.matchers as m

WIDTH = 88
"""Characters of an import that stays on one line: the shortest limit in common use."""


class Names:
    """What names mean in a revision.

    Args:
        module: The revision.
    """

    def __init__(self, module: cst.Module) -> None:
        self.modules: set[str] = set()
        """The names under which ``alembic.op`` is known."""
        self.functions: dict[str, str] = {}
        """Functions of ``alembic.op`` that are imported separately, by their names here."""
        self.taken: set[str] = set()
        """Names that mean something else than what safeops exports under them."""
        self.indirect = False
        """The package is imported: calls are ``alembic.op``."""
        for node in m.findall(module, m.ImportFrom() | m.Import()):
            self._add(node)
        for node in m.findall(module, m.FunctionDef() | m.ClassDef() | m.AssignTarget(target=m.Name())):
            named = node.target if isinstance(node, cst.AssignTarget) else getattr(node, "name", None)
            self.taken.add(full(named))

    def _add(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.Import):
            self.indirect |= any(
                full(alias.name) in ("alembic", "alembic.op") and not alias.asname for alias in node.names
            )
            return
        assert isinstance(node, cst.ImportFrom)
        source = full(node.module) if node.module is not None else ""
        for alias in node.names if not isinstance(node.names, cst.ImportStar) else ():
            name, own = full(alias.name), own_name(alias)
            if source == "alembic" and name == "op":
                self.modules.add(own)
            elif source == "alembic.op":
                self.functions[own] = name
            elif source != "safeops":
                self.taken.add(own)

    def operation(self, call: cst.Call) -> str | None:
        """Return the name of the function of ``alembic.op`` that is called; None if it is another one."""
        function = call.func
        if isinstance(function, cst.Name):
            return self.functions.get(function.value)
        if not isinstance(function, cst.Attribute):
            return None
        owner = full(function.value)
        is_op = owner in self.modules or (self.indirect and owner == "alembic.op")
        return function.attr.value if is_op else None


def full(node: cst.BaseExpression | None) -> str:
    """Return a dotted name; empty for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        return f"{full(node.value)}.{node.attr.value}"
    return ""


def own_name(alias: cst.ImportAlias) -> str:
    """Return the name under which something is imported."""
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return full(alias.name)


# What is imported from safeops ----------------------------------------------------------------------------------


def with_import(module: cst.Module, names: Collection[str]) -> cst.Module:
    """Import names from safeops: in the import that is there, else in a new one in its place."""
    for place, line in enumerate(module.body):
        found = _import_of(line, "safeops")
        if found is not None and not isinstance(found.names, cst.ImportStar):
            have = {full(alias.name) for alias in found.names if alias.asname is None}
            if have.issuperset(names):
                return module
            return _replaced(module, place, _with_names(found, names))
        if found is not None:
            return module
    return _inserted(module, names)


def _import_of(line: cst.CSTNode, source: str) -> cst.ImportFrom | None:
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return None
    found = line.body[0]
    is_it = isinstance(found, cst.ImportFrom) and not found.relative and full(found.module) == source
    return found if is_it and isinstance(found, cst.ImportFrom) else None


def _with_names(found: cst.ImportFrom, names: Collection[str]) -> cst.ImportFrom:
    assert not isinstance(found.names, cst.ImportStar)
    aliases = {own_name(alias): alias for alias in found.names}
    aliases |= {name: cst.ImportAlias(cst.Name(name)) for name in names if name not in aliases}
    ordered = sorted(aliases.values(), key=lambda alias: _order(full(alias.name)))
    return _written([alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in ordered], found.lpar is not None)


def _order(name: str) -> tuple[bool, str]:
    """Classes come before functions, as isort and ruff have it."""
    return name[:1].islower(), name


def _written(aliases: Sequence[cst.ImportAlias], is_broken: bool = False) -> cst.ImportFrom:
    plain = cst.ImportFrom(cst.Name("safeops"), list(aliases))
    if not is_broken and len(cst.Module([]).code_for_node(plain)) <= WIDTH:
        return plain
    line = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace("    "))
    end = cst.ParenthesizedWhitespace(indent=True)
    broken = [alias.with_changes(comma=cst.Comma(whitespace_after=line)) for alias in aliases[:-1]]
    broken.append(aliases[-1].with_changes(comma=cst.Comma(whitespace_after=end)))
    return plain.with_changes(names=broken, lpar=cst.LeftParen(line), rpar=cst.RightParen())


def _replaced(module: cst.Module, place: int, found: cst.ImportFrom) -> cst.Module:
    line = module.body[place]
    body = [*module.body]
    body[place] = line.with_changes(body=[found])
    return module.with_changes(body=body)


def _inserted(module: cst.Module, names: Collection[str]) -> cst.Module:
    aliases = [cst.ImportAlias(cst.Name(name)) for name in sorted(names, key=_order)]
    line = cst.SimpleStatementLine([_written(aliases)])
    place = _place(module)
    return module.with_changes(body=[*module.body[:place], line, *module.body[place:]])


def _place(module: cst.Module) -> int:
    """Return the place for the import of safeops: after those of alembic, else after the last one at the top."""
    imports = [place for place, line in enumerate(module.body) if _is_import(line)]
    from_before = [place for place in imports if _source(module.body[place]) in _BEFORE]
    if from_before:
        return from_before[-1] + 1
    if imports:
        return imports[-1] + 1
    return 1 if module.body and _is_docstring(module.body[0]) else 0


_BEFORE = ("alembic", "alembic.op")


def _is_import(line: cst.CSTNode) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], (cst.Import, cst.ImportFrom))


def _source(line: cst.CSTNode) -> str:
    found = next(iter(_statements(line)), None)
    return full(found.module) if isinstance(found, cst.ImportFrom) else ""


def _statements(line: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(line, cst.SimpleStatementLine):
        yield from line.body


def _is_docstring(line: cst.CSTNode) -> bool:
    found = next(iter(_statements(line)), None)
    return isinstance(found, cst.Expr) and isinstance(found.value, (cst.SimpleString, cst.ConcatenatedString))
