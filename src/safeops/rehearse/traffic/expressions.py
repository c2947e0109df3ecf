"""The expressions of pgbench's ``\\set``, computed without running them as code."""

from __future__ import annotations

import ast
import math
import operator
import random
from collections.abc import Callable, Mapping
from typing import Any

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda one, other: one // other if isinstance(one, int) and isinstance(other, int) else one / other,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def evaluate(expression: str, variables: Mapping[str, Any], chance: random.Random) -> Any:
    """Compute an expression of pgbench's ``\\set``: numbers, variables, + - * / %, and its functions.

    Raises:
        ValueError: It has something else.
    """
    tree = ast.parse(expression.replace(":", "").strip(), mode="eval")
    return _value(tree.body, variables, _functions(chance))


def _value(node: ast.AST, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str() as value):
            return value
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, variables, functions), _value(right, variables, functions))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand, variables, functions))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in functions:
            return functions[name](*[_value(argument, variables, functions) for argument in args])
    raise ValueError(ast.unparse(node))


def _functions(chance: random.Random) -> dict[str, Callable[..., Any]]:
    return {
        "random": lambda low, high: chance.randint(int(low), int(high)),
        "random_gaussian": lambda low, high, bend: _between(low, high, chance.gauss(0.5, 0.5 / bend)),
        "random_exponential": lambda low, high, bend: _between(low, high, chance.expovariate(bend)),
        "random_zipfian": lambda low, high, bend: _between(low, high, chance.random() ** (1 + bend)),
        "abs": abs,
        "int": int,
        "double": float,
        "sqrt": math.sqrt,
        "greatest": max,
        "least": min,
    }


def _between(low: int, high: int, share: float) -> int:
    return int(low + min(max(share, 0.0), 0.999999) * (high - low + 1))
