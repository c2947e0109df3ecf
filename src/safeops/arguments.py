"""Mistakes in the arguments of a call: the answer is the nearest name, and the call as it should be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from textwrap import wrap
from typing import Any, TypeVar

import sqlalchemy as sa

from safeops.errors import InvalidArgument
from safeops.naming import Code, call, column_code, type_code

C = TypeVar("C", bound=Callable[..., Any])

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NEAR = 0.6
_WIDTH = 100


@dataclass(frozen=True)
class Keywords:
    """The keywords that a callable accepts as ``**kw``.

    Args:
        names: Their names.
        construct: The class of SQLAlchemy that also takes options of dialects, such as ``postgresql_where``.
    """

    names: tuple[str, ...] = ()
    construct: type[Any] | None = None

    def accepts(self, keyword: str) -> bool:
        dialect = keyword.partition("_")[0]
        return keyword in self.names or not {keyword, f"{dialect}_*"}.isdisjoint(self._options(dialect))

    def known(self) -> Iterator[str]:
        yield from self.names
        for dialect in sa.dialects.__all__:
            yield from self._options(dialect)

    def _options(self, dialect: str) -> set[str]:
        """Return the options that a dialect adds to the construct; an asterisk is any."""
        if self.construct is None:
            return set()
        try:
            declared = sa.dialects.registry.load(dialect).construct_arguments
        except sa.exc.NoSuchModuleError:
            return set()
        added = [names for of, names in declared if issubclass(self.construct, of)] if declared else ["*"]
        return {f"{dialect}_{name}" for names in added for name in names}


NO_KEYWORDS = Keywords()


def bind(
    signature: inspect.Signature,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    keywords: Keywords = NO_KEYWORDS,
    code: str = "",
) -> Mapping[str, Any]:
    """Return the arguments of a call by name, with their defaults.

    Args:
        signature: The parameters of the callable.
        name: The name of the callable.
        args: The arguments that were given by place.
        kwargs: The arguments that were given by name.
        keywords: What it accepts as ``**kw``.
        code: How its author calls it, if not by its name.

    Raises:
        InvalidArgument: An argument is unknown, missing, given twice, or one too many.
    """
    is_method = "self" in signature.parameters
    parameters = tuple(signature.parameters.values())[is_method:]
    mistakes = _Mistakes(parameters, name, args[is_method:], kwargs, keywords, code or name)
    mistakes.check_unknown()
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        raise mistakes.error() from None
    bound.apply_defaults()
    return bound.arguments


def arguments_checked(keywords: Keywords = NO_KEYWORDS) -> Callable[[C], C]:
    """Answer mistakes in the arguments of a function or class, which keeps its signature.

    Args:
        keywords: What it accepts as ``**kw``.
    """

    def decorate(called: C) -> C:
        signature, name = inspect.signature(called), called.__name__
        if isinstance(called, type):
            _check_when_made(called, signature, keywords)
            return called

        @wraps(called)
        def checked(*args: Any, **kwargs: Any) -> Any:
            bind(signature, name, args, kwargs, keywords)
            return called(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate


def _check_when_made(cls: type[Any], signature: inspect.Signature, keywords: Keywords) -> None:
    make = cls.__init__

    @wraps(make)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        bind(signature, cls.__name__, args, kwargs, keywords)
        make(self, *args, **kwargs)

    cls.__init__ = checked


@dataclass(frozen=True)
class _Mistakes:
    """A call, and what may be wrong with its arguments."""

    parameters: Sequence[inspect.Parameter]
    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    keywords: Keywords
    code: str

    def _named(self, *kinds: Any) -> list[str]:
        return [one.name for one in self.parameters if one.kind in kinds]

    @property
    def _by_place(self) -> list[str]:
        """The parameters that are given by place in this call."""
        named, rest = self._named(*_BY_PLACE), self._named(inspect.Parameter.VAR_POSITIONAL)
        return [*named, *rest * len(self.args)][: len(self.args)]

    @property
    def _missing(self) -> list[inspect.Parameter]:
        given = {*self._by_place, *self.kwargs}
        needed = [one for one in self.parameters if one.kind in (*_BY_PLACE, *_BY_NAME) and one.default is one.empty]
        return [one for one in needed if one.name not in given]

    def check_unknown(self) -> None:
        """Raise InvalidArgument for keywords that do not exist."""
        if not self.kwargs:
            return
        known = self._named(*_BY_NAME)
        unknown = [name for name in self.kwargs if name not in known and not self.keywords.accepts(name)]
        if not unknown:
            return
        free = [name for name in (*known, *self.keywords.known()) if name not in self.kwargs]
        near = {one: found for one in unknown if (found := _nearest(one, free))}
        problem = f"{self.name}() has no argument {' or '.join(unknown)}."
        if len(near) < len(unknown):
            raise InvalidArgument(problem, remedy="Its arguments are:", code=self._described())
        remedy = f"Did you mean {' and '.join(near.values())}? Write:"
        raise InvalidArgument(problem, remedy=remedy, code=self._corrected(near))

    def error(self) -> InvalidArgument:
        """Return the error of arguments that are missing, given twice, or too many."""
        by_place, given = self._by_place, len(self.args)
        twice = [name for name in by_place if name in self.kwargs]
        if given > len(by_place):
            problem = f"{self.name}() takes {_counted(len(by_place))} by position, and got {given}."
            by_name = self._named(inspect.Parameter.KEYWORD_ONLY)
            remedy = "Pass the other arguments by name:" if by_name else "Write:"
            return InvalidArgument(problem, remedy=remedy, code=self._described())
        if twice:
            problem = f"{self.name}() got {' and '.join(twice)} twice: by position and by name."
            return InvalidArgument(problem, remedy="Pass each argument once:", code=self._described())
        missing = [one.name for one in self._missing]
        problem = f"{self.name}() needs the argument{'s'[: len(missing) > 1]} {' and '.join(missing)}."
        return InvalidArgument(problem, remedy="Write:", code=self._corrected({}))

    def _corrected(self, renamed: Mapping[str, str]) -> str:
        """Write the author's call out with the right names; missing arguments are shown by their names."""
        shown = [*map(_shown, self.args, self._by_place)]
        keywords = {renamed.get(name, name): _shown(value, name) for name, value in self.kwargs.items()}
        for parameter in self._missing:
            name = parameter.name
            if parameter.kind in _BY_PLACE and keywords.keys().isdisjoint(self._named(*_BY_PLACE)):
                shown.append(Code(name))
            else:
                keywords.setdefault(name, Code(name))
        return call(self.code, *shown, **keywords)

    def _described(self) -> str:
        """Write the parameters out."""
        plain = [one.replace(annotation=inspect.Parameter.empty) for one in self.parameters]
        rest = [one for one in plain if one.kind is inspect.Parameter.VAR_KEYWORD]
        texts = str(inspect.Signature([one for one in plain if one not in rest]))[1:-1].split(", ")
        by_name = any(text.startswith("*") for text in texts)
        texts += ["*"] if self.keywords.names and not by_name else []
        texts += [*self.keywords.names, *(map(str, rest) if self.keywords.construct else [])]
        written = f"{self.code}({', '.join(filter(None, texts))})"
        return "\n".join(wrap(written, _WIDTH, subsequent_indent="    ", break_long_words=False))


def _nearest(keyword: str, known: list[str]) -> str | None:
    """Return the known name that is most like a keyword, or has it as a part."""
    near = get_close_matches(keyword, known, n=1, cutoff=_NEAR)
    return next(iter(near or [one for one in known if keyword in one.split("_")]), None)


def _counted(arguments: int) -> str:
    return {0: "no arguments", 1: "1 argument"}.get(arguments, f"{arguments} arguments")


def _shown(value: Any, name: str) -> Any:
    """Return an argument for ``call``, or the name of its parameter if it cannot be written."""
    if value is None:
        return Code("None")
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, list):
        return [_shown(one, name) for one in value]
    if isinstance(value, tuple):
        return Code(call("", *(_shown(one, name) for one in value)).replace(")", ",)" if len(value) == 1 else ")"))
    if isinstance(value, Mapping):
        return {key: _shown(one, name) for key, one in value.items()}
    if isinstance(value, sa.Column) and isinstance(value.name, str):
        return column_code(value)
    if isinstance(value, sa.types.TypeEngine) or (isinstance(value, type) and issubclass(value, sa.types.TypeEngine)):
        return type_code(sa.types.to_instance(value))
    if isinstance(value, sa.ClauseElement):
        return _expression(value, name)
    return Code(getattr(value, "__name__", name))


def _expression(value: sa.ClauseElement, name: str) -> Any:
    try:
        text = value.text if isinstance(value, sa.TextClause) else value.compile(compile_kwargs={"literal_binds": True})
    except (sa.exc.SQLAlchemyError, NotImplementedError):
        return Code(name)
    return call("sa.text", " ".join(str(text).split()))
