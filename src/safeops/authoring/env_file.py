"""The env.py of a project: which of its lines must change."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from safeops.authoring.project import template_text
from safeops.execution.guarding import missing_parsers

_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module

_STATEMENTS = {"execute", "exec_driver_sql", "scalar", "scalars"}

_ONLINE = {"transaction_per_migration": "True", "process_revision_directives": "safe_operations"}
_OFFLINE = {"literal_binds": "True", "dialect_opts": '{"paramstyle": "named"}', "transaction_per_migration": "True"}


@dataclass(frozen=True)
class Advice:
    """How an env.py should change."""

    text: str
    """The file with all changes that could be made automatically."""
    by_hand: tuple[str, ...] = ()
    """What else must change, each a sentence and perhaps code below it."""


@dataclass
class _EnvFile:
    text: str
    tree: ast.Module
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    settings: str = ""
    """The line below the imports that calls ``configure()``."""

    def __post_init__(self) -> None:
        # Columns of the syntax tree count bytes.
        self.data = self.text.encode()
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self._starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def line(self, number: int) -> int:
        """Return the place at which a line begins, counted from 1."""
        return self._starts[number - 1]

    def indent(self, number: int) -> str:
        line = self.data[self.line(number) : self.line(number + 1)].decode()
        return line[: len(line) - len(line.lstrip())]

    def source(self, node: ast.expr | ast.keyword) -> str:
        return self.data[self.start(node) : self.end(node)].decode()

    def replace(self, start: int, end: int, text: str) -> None:
        self.edits.append((start, end, text))

    def insert(self, place: int, text: str) -> None:
        self.replace(place, place, text)

    def result(self) -> Advice:
        data = self.data
        for start, end, text in sorted(self.edits, key=lambda edit: edit[0], reverse=True):
            data = data[:start] + text.encode() + data[end:]
        return Advice(data.decode(), tuple(dict.fromkeys(self.by_hand)))


def advise(text: str) -> Advice:
    """Return the env.py as it should be, and what only its author can change."""
    text = _with_multidb_replaced(text)
    env = _EnvFile(text, ast.parse(text))
    calls = list(_configurings(env.tree))
    if not any(_keyword(call, "connection") for _, call in calls):
        return Advice(text, (CHECKLIST,))
    for scope, call in calls:
        connection = _keyword(call, "connection")
        _complete_arguments(env, call, _ONLINE if connection else _OFFLINE)
        if connection:
            _commit_before(env, scope, call, connection)
            _lock(env, scope, call, connection)
    _configure(env)
    _connect_instead_of_begin(env)
    _keep_loggers(env)
    _import(env)
    return env.result()


# The calls in an env.py -----------------------------------------------------------------------------------------


def _configurings(tree: ast.Module) -> Iterator[tuple[_Scope, ast.Call]]:
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))):
        for call in _calls(_nodes_in(scope), "configure"):
            if isinstance(call.func, ast.Attribute) and _last_name(call.func.value) == "context":
                yield scope, call


def _calls(nodes: Iterable[ast.AST], *methods: str) -> list[ast.Call]:
    return [node for node in nodes if isinstance(node, ast.Call) and _method(node) in methods]


def _entered(nodes: Iterable[ast.AST]) -> Iterator[ast.withitem]:
    """Yield what ``with`` enters."""
    for node in nodes:
        yield from node.items if isinstance(node, ast.With | ast.AsyncWith) else ()


def _nodes_in(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, without those in functions inside of it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _nodes_in(child)


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _arguments(call: ast.Call) -> list[ast.expr | ast.keyword]:
    return [*call.args, *call.keywords]


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


# What changes ----------------------------------------------------------------------------------------------------


def _complete_arguments(env: _EnvFile, call: ast.Call, wanted: Mapping[str, str]) -> None:
    missing = {name: value for name, value in wanted.items() if _keyword(call, name) is None}
    directives = _keyword(call, "process_revision_directives")
    if directives and _last_name(directives) != "safe_operations" and wanted is _ONLINE:
        env.by_hand.append(_OTHER_DIRECTIVES.format(name=env.source(directives)))
    if any(keyword.arg is None for keyword in call.keywords) and missing:
        lines = "".join(f"\n    {name}={value}," for name, value in missing.items())
        env.by_hand.append(
            f"Line {call.lineno}: pass these to context.configure(), unless its ** arguments contain them:{lines}"
        )
    elif missing:
        _add_arguments(env, call, missing)
    if "process_revision_directives" in missing:
        env.imports.append("from safeops.autogenerate import safe_operations")


def _add_arguments(env: _EnvFile, call: ast.Call, missing: Mapping[str, str]) -> None:
    given = _arguments(call)
    last = max(given, key=env.end)
    added = [f"{name}={value}" for name, value in missing.items()]
    closing = call.end_lineno or 0
    if closing > (last.end_lineno or 0):
        # The closing parenthesis is on a separate line: insert above it.
        rest = env.data[env.end(last) : env.line(closing)].decode()
        if not rest.lstrip().startswith(","):
            env.insert(env.end(last), ",")
        indent = env.indent(last.lineno)
        env.insert(env.line(closing), "".join(f"{indent}{line},\n" for line in added))
        return
    indent = env.indent(call.lineno)
    lines = "".join(f"\n{indent}    {line}," for line in [*map(env.source, given), *added])
    env.replace(env.end(call.func), env.end(call), f"({lines}\n{indent})")


def _commit_before(env: _EnvFile, scope: _Scope, call: ast.Call, connection: ast.expr) -> None:
    """Commit statements before configure(): Alembic never commits the transaction that they begin."""
    name = env.source(connection)
    sent = _calls(_nodes_in(scope), *_STATEMENTS, "commit")
    before = [each for each in sent if each.lineno < call.lineno and _is_method_of(env, each, name)]
    if before and _method(max(before, key=env.start)) != "commit":
        env.insert(env.line(call.lineno), f"{env.indent(call.lineno)}{name}.commit()\n")
    if not _calls(_nodes_in(scope), "begin_transaction"):
        env.by_hand.append(_NO_BEGIN_TRANSACTION.format(name=name))


def _is_method_of(env: _EnvFile, call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and env.source(call.func.value) == name


def _lock(env: _EnvFile, scope: _Scope, call: ast.Call, connection: ast.expr) -> None:
    if _has_name(env.tree, "migration_lock"):
        return
    entered = _calls((item.context_expr for item in _entered(_nodes_in(scope))), "begin_transaction")
    begun = [begin for begin in entered if begin.lineno > call.lineno]
    if begun:
        env.insert(min(map(env.start, begun)), f"migration_lock({env.source(connection)}), ")
        env.imports.append("from safeops import migration_lock")


def _has_name(tree: ast.Module, name: str) -> bool:
    """Return whether code imports or uses a name."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.alias | ast.Name | ast.Attribute))
    return any(name in (getattr(node, key, None) for key in ("name", "id", "attr")) for node in nodes)


GUARD = ', guard="raise"'


def with_guard(text: str) -> str:
    """Return a new env.py as it is; without the guard if its parsers are not installed here."""
    return text.replace(GUARD, "") if missing_parsers() else text


def _configure(env: _EnvFile) -> None:
    """Have one line bound what revisions send, and guard it."""
    calls = [node for node in ast.walk(env.tree) if isinstance(node, ast.Call) and _configures_safeops(node)]
    if not calls:
        env.imports.append("from safeops import configure")
        env.settings = with_guard(f"configure(lock_timeout=2.0{GUARD})")
    elif not missing_parsers() and not any(_keyword(call, "guard") or _is_open(call) for call in calls):
        given = _arguments(calls[0])
        env.insert(max(map(env.end, given)), GUARD)


def _configures_safeops(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="configure") | ast.Attribute(value=ast.Name(id="safeops"), attr="configure"):
            return True
    return False


def _is_open(call: ast.Call) -> bool:
    """Return whether its arguments are not all written there."""
    return not call.keywords or any(keyword.arg is None for keyword in call.keywords)


def _connect_instead_of_begin(env: _EnvFile) -> None:
    begun = {item.context_expr for item in _entered(ast.walk(env.tree)) if item.optional_vars is not None}
    for call in _calls(ast.walk(env.tree), "begin", "begin_twophase"):
        if call in begun and _method(call) == "begin":
            end = env.end(call.func)
            env.replace(end - len("begin"), end, "connect")
        else:
            env.by_hand.append(_BEGIN.format(line=call.lineno, code=ast.unparse(call)))


def _keep_loggers(env: _EnvFile) -> None:
    """Keep the existing loggers, that of safeops too: fileConfig() switches them off."""
    for node in ast.walk(env.tree):
        if not isinstance(node, ast.Call) or _last_name(node.func) != "fileConfig":
            continue
        given = _arguments(node)
        if given and not _keyword(node, "disable_existing_loggers"):
            env.insert(max(map(env.end, given)), ", disable_existing_loggers=False")


def _import(env: _EnvFile) -> None:
    missing = sorted(line for line in set(env.imports) if line not in env.text)
    imports = [node for node in env.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if missing and imports:
        after = (imports[-1].end_lineno or 0) + 1
        lines = [*missing, *(["", env.settings] if env.settings else [])]
        env.insert(env.line(after), "\n" + "".join(f"{line}\n" for line in lines))


def _with_multidb_replaced(text: str) -> str:
    """Replace the online part of Alembic's template "multidb", which has one transaction a database over everything."""
    stock = (files("alembic") / "templates" / "multidb" / "env.py").read_text(encoding="utf-8")
    online, original = _online_part(text), _online_part(stock)
    if online is None or original is None or ast.dump(online) != ast.dump(original):
        return text
    lines = text.splitlines(keepends=True)
    lines[online.lineno - 1 : online.end_lineno] = [template_text("env_multidb_online.py.template")]
    return "".join(lines)


def _online_part(text: str) -> ast.FunctionDef | None:
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    return next((function for function in functions if function.name == "run_migrations_online"), None)


CHECKLIST = """The part of this env.py that runs the migrations should be equivalent to:
    from safeops import configure, migration_lock
    from safeops.autogenerate import safe_operations

    configure(lock_timeout=2.0, guard="raise")
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            transaction_per_migration=True,
            process_revision_directives=safe_operations,
        )
        with migration_lock(connection), context.begin_transaction():
            context.run_migrations()"""

_OTHER_DIRECTIVES = """process_revision_directives is {name}. Pass a function that calls both:
    def directives(context, revision, scripts):
        {name}(context, revision, scripts)
        safe_operations(context, revision, scripts)"""

_NO_BEGIN_TRANSACTION = """Begin Alembic's own transaction around context.run_migrations():
    with migration_lock({name}), context.begin_transaction():
        context.run_migrations()"""

_BEGIN = """Line {line} begins a transaction, which a helper cannot commit: {code}
    Use engine.connect(), and leave the transaction to context.begin_transaction()."""
