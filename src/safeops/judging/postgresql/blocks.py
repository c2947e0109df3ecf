"""The effects of code in a statement: the static SQL of a DO block is parsed, the rest is OPAQUE."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pglast.parser import ParseError, parse_plpgsql_json

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql.nodes import functions_in, text_of, value_of, words_of

Read = Callable[[str], list[Operation]]


def call(node: Any) -> Iterator[Operation]:
    name = functions_in(node.funccall)[0]
    why = f"it calls the procedure {name}(), and the code of that is not part of the statement"
    yield Operation(op.OPAQUE, name=str(name), opaque=why, node=node)


def create_function(node: Any, read: Read) -> Iterator[Operation]:
    """Creating a function runs none of it; the effects of its code are kept for later calls."""
    options = {one.defname: one.arg for one in node.options or ()}
    body = " ".join(words_of(options.get("as")))
    language = options["language"].sval if "language" in options else "sql"
    traits = {"function"} | ({"stable"} if text(options.get("volatility")) in ("stable", "immutable") else set())
    parts: tuple[Operation, ...] = ()
    if body and language in ("sql", "plpgsql"):
        parts = tuple(read(body) if language == "sql" else _of_body(body, read))
        traits.add("code is read")
    yield Operation(op.OTHER, name=".".join(words_of(node.funcname)), traits=frozenset(traits), parts=parts, node=node)


def text(option: Any) -> str:
    return str(getattr(option, "sval", ""))


def do_block(node: Any, read: Read) -> Iterator[Operation]:
    """Return the effects of the static statements of a DO block, and an OPAQUE for each dynamic one."""
    options = {one.defname: one.arg for one in node.args}
    language = options["language"].sval if "language" in options else "plpgsql"
    body = options["as"].sval if "as" in options else ""
    if language != "plpgsql":
        yield Operation(
            op.OPAQUE, opaque=f"it is code in {language}, which only a run on a scratch database can show", node=node
        )
        return
    found = list(_of_body(body, read))
    yield from found or [Operation(op.OTHER, node=node)]


def _of_body(body: str, read: Read) -> Iterator[Operation]:
    tag = "$of_the_block$"
    try:
        tree = json.loads(parse_plpgsql_json(f"DO {tag}{body}{tag}"))
    except ParseError as error:
        yield Operation(op.OPAQUE, opaque=f"PostgreSQL's parser does not understand its code: {error.args[0]}")
        return
    yield from _in_tree(tree, read, in_loop=False)


_LOOPS = frozenset(f"PLpgSQL_stmt_{word}" for word in ["loop", "while", "fori", "fors", "forc", "dynfors", "foreach_a"])


def _in_tree(tree: Any, read: Read, *, in_loop: bool) -> Iterator[Operation]:
    """Yield the effects of the statements of a block; in a loop the number of their rows is unbounded."""
    if isinstance(tree, list):
        for one in tree:
            yield from _in_tree(one, read, in_loop=in_loop)
    elif isinstance(tree, dict):
        for kind, inner in tree.items():
            repeats = kind in _LOOPS and not _commits(inner)
            yield from _of_node(kind, inner, read, in_loop=in_loop or repeats)


def _commits(tree: Any) -> bool:
    """Return whether a loop commits: each iteration is then a separate transaction."""
    return "PLpgSQL_stmt_commit" in json.dumps(tree)


def _of_node(kind: str, inner: Any, read: Read, *, in_loop: bool) -> Iterator[Operation]:
    if kind == "PLpgSQL_expr":
        for one in _of_expression(inner, read):
            yield _repeated(one) if in_loop else one
    elif kind in ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"):
        yield from _dynamic(inner["query"]["PLpgSQL_expr"]["query"], read)
        yield from _in_tree(inner.get("body"), read, in_loop=in_loop)
    elif kind in ("PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback"):
        ends = op.COMMIT if kind == "PLpgSQL_stmt_commit" else op.ROLLBACK
        yield Operation(ends, traits=frozenset({"in a block"}))
    elif kind == "PLpgSQL_stmt_call":
        yield from _in_tree(inner, read, in_loop=in_loop)
    else:
        yield from _in_tree(inner, read, in_loop=in_loop)


def _repeated(operation: Operation) -> Operation:
    if operation.kind not in (op.UPDATE, op.DELETE, op.INSERT, op.MERGE, op.SELECT):
        return operation
    return replace(operation, rows=None, traits=operation.traits - {"by key", "limit"} | {"in a loop"})


def _of_expression(expression: Any, read: Read) -> Iterator[Operation]:
    """Return the effects of an SQL statement, or of a PL/pgSQL expression, which is parsed as a query."""
    query = expression["query"]
    as_query = query if expression.get("parseMode", 0) == 0 else f"SELECT {_value_of(query)}"
    yield from (one for one in read(as_query) if one.kind != op.OTHER)


def _value_of(query: str) -> str:
    """Return the right side of an assignment."""
    return query.split(":=", 1)[1] if ":=" in query else query


def _dynamic(query: str, read: Read) -> Iterator[Operation]:
    """Return the effects of EXECUTE if its text is a constant; otherwise an OPAQUE."""
    text = text_of(value_of(query))
    if text is not None:
        yield from read(text)
    else:
        yield Operation(op.OPAQUE, expression=query, opaque="it runs SQL that it builds at run time (EXECUTE)")
