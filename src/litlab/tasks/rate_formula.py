"""A learning rate by a formula, for torch's LambdaLR."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from litlab.errors import RequestError

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv},
    **{ast.Pow: operator.pow, ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv},
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    **{name: getattr(math, name) for name in ("sqrt", "exp", "log", "cos", "sin")},
    **{"min": min, "max": max},
}


class RateFormula:
    """The factor of optimizer.lr in an interval, from 0, such as "0.95 ** epoch": numbers, arithmetic, nothing else.

    Args:
        formula: in Python's syntax, of `epoch`, the number of the interval; sqrt, exp, log, cos, sin, min, max, pi too.

    Raises:
        RequestError: it is no such formula.
    """

    def __init__(self, formula: str) -> None:
        self.formula = str(formula)  # the only attribute: LambdaLR saves all of them in checkpoints
        self(0)

    def __call__(self, epoch: int) -> float:
        """The factor in this interval."""
        try:
            return float(self._value(ast.parse(self.formula.strip(), mode="eval").body, float(epoch)))
        except RequestError:
            raise
        except (SyntaxError, ArithmeticError, ValueError, TypeError, RecursionError, MemoryError) as error:
            raise self._refuse(f"is no number at epoch {epoch} ({error})") from error

    def _value(self, node: ast.expr, epoch: float) -> Any:
        match node:
            case ast.Constant(int() | float() as number):
                return float(number)
            case ast.Name("epoch" | "pi" as name):
                return epoch if name == "epoch" else math.pi
            case ast.UnaryOp(ast.USub(), operand):
                return -self._value(operand, epoch)
            case ast.BinOp(left, kind, right) if type(kind) in OPERATORS:
                return OPERATORS[type(kind)](self._value(left, epoch), self._value(right, epoch))
            case ast.Call(ast.Name(name), arguments, []) if name in FUNCTIONS:
                return FUNCTIONS[name](*(self._value(each, epoch) for each in arguments))
        raise self._refuse(f"'{ast.unparse(node)}' is no number, nor `epoch`, nor arithmetic with them")

    def _refuse(self, what: str) -> RequestError:
        return RequestError(f"scheduler.lr_lambda.formula={self.formula}: {what}; write it as in '0.95 ** epoch'")
