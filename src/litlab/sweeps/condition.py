"""A condition on a sweep's settings, such as `optimizer.lr > 0.1 and data.batch_size < 64`."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from litlab.config.suggestions import suggestion
from litlab.errors import RequestError

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}

MISSING = object()  # the value of a setting that a job does not have


class Condition:
    """Comparisons with `and`, `or`, `not` and parentheses, in Python's syntax; nothing else is evaluated.

    A word that is not a setting is text, so `model == mlp` needs no quotes.

    Args:
        text: the condition.
        settings: the names that it may mention.
        setting: where the user wrote it, for messages.

    Raises:
        RequestError: it is not such a condition, or mentions another setting.
    """

    def __init__(self, text: str, settings: list[str], setting: str) -> None:
        self.text, self.settings, self.setting = text, settings, setting
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._refuse("cannot be parsed") from error
        if not isinstance(self._tree, ast.BoolOp | ast.UnaryOp | ast.Compare):
            raise self._refuse("compares nothing")
        self._evaluate(self._tree, {})  # an invalid condition fails before any job starts

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of a job with these values; a comparison with a setting that the job lacks is false."""
        return bool(self._evaluate(self._tree, values))

    def _evaluate(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.BoolOp(op, operands):
                results = [self._evaluate(each, values) for each in operands]
                return all(results) if isinstance(op, ast.And) else any(results)
            case ast.UnaryOp(ast.Not(), operand):
                return not self._evaluate(operand, values)
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
                return -number
            case ast.Compare(left, comparisons, others):
                operands = [self._evaluate(each, values) for each in (left, *others)]
                pairs = zip(comparisons, operands, operands[1:], strict=False)
                return all([self._compare(comparison, *pair) for comparison, *pair in pairs])
            case ast.Constant(bool() | int() | float() | str() | None as value):
                return value
            case ast.List(items) | ast.Tuple(items):
                return [self._evaluate(each, values) for each in items]
            case ast.Name() | ast.Attribute():
                return self._value(ast.unparse(node), values)
        raise self._refuse(f"'{ast.unparse(node)}' is not a comparison, a setting or a value")

    def _value(self, name: str, values: Mapping[str, Any]) -> Any:
        if name in self.settings:
            return values.get(name, MISSING)
        if "." in name:
            known = ", ".join(self.settings)
            hint = suggestion(name, self.settings)
            raise self._refuse(f"{name} is not a setting of this sweep{hint}; there are {known}")
        return {"true": True, "false": False, "null": None}.get(name, name)

    def _compare(self, comparison: ast.cmpop, left: Any, right: Any) -> bool:
        if left is MISSING or right is MISSING or type(comparison) not in COMPARISONS:
            return False
        try:
            return bool(COMPARISONS[type(comparison)](left, right))
        except TypeError as error:
            raise self._refuse(f"{left!r} and {right!r} cannot be compared") from error

    def _refuse(self, what: str) -> RequestError:
        return RequestError(
            f"{self.setting}='{self.text}': {what}; write it as in 'optimizer.lr > 0.1 and data.batch_size < 64'"
        )
