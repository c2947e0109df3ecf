"""A revision as a tree, and what is rewritten in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from safeops.judging.finding import NOTE, Finding
from safeops.review.fix.calls import Wanted, as_helper, in_common, wanted_in
from safeops.review.fix.imports import Names, with_import
from safeops.review.fix.inverses import inverse_of


class Revision:
    """The text of a revision.

    Args:
        source: The text.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._wrapper = MetadataWrapper(cst.parse_module(source))
        self.module = self._wrapper.module
        self._positions = self._wrapper.resolve(PositionProvider)
        self.names = Names(self.module)

    def rewritten(self, findings: Iterable[Finding]) -> str:
        """Return the text with the calls rewritten that findings are about, and those that undo them."""
        found = [finding for finding in findings if finding.verdict != NOTE]
        calls = dict(self._upgrades(found))
        calls |= self._downgrades(calls)
        if not calls:
            return self.source
        changed = self.module.visit(_Rewriting({old: new for old, (_, new) in calls.items()}, self.names))
        assert isinstance(changed, cst.Module)
        helpers = {wanted.helper for wanted, _ in calls.values()}
        return with_import(changed, helpers).code

    # Which calls ------------------------------------------------------------------------------------------------

    def _upgrades(self, findings: list[Finding]) -> Iterator[tuple[cst.Call, tuple[Wanted, cst.BaseExpression]]]:
        for call in self._calls():
            own = [finding for finding in findings if self._is_about(finding, call)]
            wanted = self._wanted(own)
            name = self.names.operation(call)
            new = as_helper(call, name, wanted) if wanted is not None and name is not None else None
            if wanted is not None and new is not None:
                yield call, (wanted, new)

    def _calls(self) -> Iterator[cst.Call]:
        """Yield the calls of ``alembic.op``."""
        for node in self._positions:
            if isinstance(node, cst.Call) and self.names.operation(node) is not None:
                yield node

    def _is_about(self, finding: Finding, call: cst.Call) -> bool:
        place, sent = self._positions[call], finding.sent
        if finding.place is None or not place.start.line <= finding.place.line <= place.end.line:
            return False
        return sent is None or sent.call is None or sent.call.name == self.names.operation(call)

    def _wanted(self, findings: list[Finding]) -> Wanted | None:
        """Return the one call that replaces another; None if the findings need several."""
        texts = dict.fromkeys(finding.replacement for finding in findings if finding.replacement)
        found = [wanted_in(text) for text in texts]
        known = [one for one in found if one is not None]
        wanted = in_common(known) if known and len(known) == len(found) else None
        return None if wanted is None or wanted.helper in self.names.taken else wanted

    # downgrade() ------------------------------------------------------------------------------------------------

    def _downgrades(
        self, upgrades: dict[cst.Call, tuple[Wanted, cst.BaseExpression]]
    ) -> dict[cst.Call, tuple[Wanted, cst.BaseExpression]]:
        """Return the calls in ``downgrade()`` that undo those that are rewritten, as helpers too."""
        body = next((one for one in self.module.body if _is_downgrade(one)), None)
        found: dict[cst.Call, tuple[Wanted, cst.BaseExpression]] = {}
        for call in self._calls() if body is not None else ():
            if call in upgrades or not self._is_inside(call, body):
                continue
            name = self.names.operation(call) or ""
            for upgrade, (wanted, _) in upgrades.items():
                back = inverse_of(upgrade, self.names.operation(upgrade) or "", wanted, call, name)
                new = as_helper(call, name, back) if back is not None else None
                if back is not None and new is not None and back.helper not in self.names.taken:
                    found[call] = (back, new)
        return found

    def _is_inside(self, call: cst.Call, body: cst.CSTNode | None) -> bool:
        if body is None:
            return False
        inner, outer = self._positions[call], self._positions[body]
        return outer.start.line <= inner.start.line and inner.end.line <= outer.end.line


def _is_downgrade(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.FunctionDef) and node.name.value == "downgrade"


class _Rewriting(cst.CSTTransformer):
    """Puts calls in the place of others, and takes blocks away in which nothing else is left."""

    def __init__(self, calls: dict[cst.Call, cst.BaseExpression], names: Names) -> None:
        super().__init__()
        self.calls, self.names = calls, names
        self._made: set[int] = set()

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        new = self.calls.get(original_node)
        if new is None:
            return updated_node
        self._made.add(id(new))
        return new

    def leave_With(
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.With | cst.FlattenSentinel[cst.BaseStatement]:
        """Take an autocommit block away that is around helpers alone, which leave the transaction themselves."""
        if not self._is_autocommit(original_node) or not isinstance(updated_node.body, cst.IndentedBlock):
            return updated_node
        if not all(map(self._is_rewritten, updated_node.body.body)):
            return updated_node
        first, *rest = updated_node.body.body
        lines = [*updated_node.leading_lines, *getattr(first, "leading_lines", ())]
        return cst.FlattenSentinel([first.with_changes(leading_lines=lines), *rest])

    def _is_autocommit(self, node: cst.With) -> bool:
        call = node.items[0].item if len(node.items) == 1 else None
        return (
            isinstance(call, cst.Call)
            and isinstance(call.func, cst.Attribute)
            and call.func.attr.value == "autocommit_block"
        )

    def _is_rewritten(self, statement: cst.BaseStatement) -> bool:
        if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
            return False
        line = statement.body[0]
        return isinstance(line, cst.Expr) and id(line.value) in self._made
