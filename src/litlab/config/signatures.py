"""Signatures of classes and functions, read from their source: importing torch for it would take seconds.

When in doubt, anything is accepted: an annotation that cannot be read is `Any`, and a class whose **kwargs cannot be
followed may take other parameters.
"""

import ast
import functools
import importlib.util
import inspect
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from litlab.config import values

REQUIRED: Any = inspect.Parameter.empty
TYPES: dict[str, Any] = {each.__name__: each for each in (int, float, bool, str, list, tuple, dict, Path, Mapping)}
TYPES |= {each.__name__: each for each in values.SEQUENCES} | {"Any": Any, "List": list, "Tuple": tuple, "Dict": dict}
TYPES |= dict.fromkeys(("Tensor", "timedelta", "Module", "Optimizer"), values.Instance)
DEFINITION = re.compile(r"^(?:class|def)[ \t]+(\w+)|^(\w+)(?::[^=\n]*)?[ \t]*=(?!=)", re.MULTILINE)
IMPORT = re.compile(r"^[ \t]*from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(?:\(([^)]*)\)|([^\n(]*))", re.MULTILINE)
STATEMENT = re.compile(r"^[^\s)\]}#]", re.MULTILINE)
INIT = re.compile(r"^    def __init__\b.*?(?=^    (?:@|def |async def |class )|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a signature."""

    owner: str  # module and name of the class or function
    module: str
    annotation: ast.expr | None
    default: Any  # REQUIRED if there is none; None if it is no literal

    @property
    def hint(self) -> Any:
        """Its type; `Any` if unknown."""
        hint = Any if self.annotation is None else _hint(self.module, self.annotation)
        return hint | None if self.default is None else hint


class Signature(NamedTuple):
    """What can be passed by name."""

    parameters: dict[str, Parameter]
    others: bool  # whether other names may be accepted, too


UNKNOWN = Signature({}, others=True)


@functools.cache
def signature(target: str) -> Signature:
    """Of a class or function, by its dotted name; `UNKNOWN` if its source is not found."""
    module, _, name = target.rpartition(".")
    try:
        return _signature(module, name)
    except (SyntaxError, RecursionError, ValueError):  # the import will report it
        return UNKNOWN


def _signature(module: str, name: str) -> Signature:
    found, node = _find(module, name)
    if isinstance(node, ast.FunctionDef):
        return _own(found, node, f"{found}.{name}", method=False)
    if not isinstance(node, ast.ClassDef):
        return UNKNOWN
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    if node.keywords or "__new__" in methods:
        return UNKNOWN
    base = node.bases[0] if node.bases and isinstance(node.bases[0], ast.Name) else None
    if (init := methods.get("__init__")) is None:
        return UNKNOWN if base is None else _signature(found, base.id)
    own = _own(found, init, f"{found}.{name}", method=True)
    forwarded = _forwarded(init)
    if base is None or forwarded is None:
        return own
    inherited = _signature(found, base.id)
    more = {key: each for key, each in inherited.parameters.items() if key not in forwarded}
    return Signature(more | own.parameters, inherited.others)


def _own(module: str, function: ast.FunctionDef, owner: str, method: bool) -> Signature:
    given = function.args
    arguments = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(arguments) - len(given.defaults)) + given.defaults
    by_place = [*zip(arguments, defaults, strict=True)][method:]  # without self
    parameters = {}
    for argument, default in [*by_place, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]:
        literal = REQUIRED if default is None else _literal(default)
        parameters[argument.arg] = Parameter(owner, module, argument.annotation, literal)
    return Signature(parameters, given.kwarg is not None)


def _forwarded(init: ast.FunctionDef) -> set[str] | None:
    """What `__init__` passes by name to its parent's along with `**kwargs`; None if it does not pass them on."""
    if init.args.kwarg is None:
        return None
    for call in ast.walk(init):
        if (
            isinstance(call, ast.Call)
            and ast.unparse(call.func) == "super().__init__"
            and any(each.arg is None and ast.unparse(each.value) == init.args.kwarg.arg for each in call.keywords)
        ):
            return {each.arg for each in call.keywords if each.arg is not None}
    return None


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def _hint(module: str, node: ast.expr) -> Any:
    """An annotation as an object of `typing`; `Any` if unknown."""
    match node:
        case ast.Constant(value=None):
            return values.NoneType
        case ast.Constant(value=str(text)):
            return _hint(module, ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _hint(module, left) | _hint(module, right)
        case ast.Attribute(attr=name):
            return TYPES.get(name, Any)
        case ast.Name(id=name):
            return TYPES[name] if name in TYPES else _alias(module, name)
        case ast.Subscript(value=ast.Name(id=head) | ast.Attribute(attr=head), slice=inner):
            return _generic(module, head, inner.elts if isinstance(inner, ast.Tuple) else [inner])
    return Any


def _alias(module: str, name: str) -> Any:
    """What a name in an annotation means: a type of `litlab.config.values`, or the value it is assigned."""
    found, node = _find(module, name)
    if found == values.__name__:
        return getattr(values, name, Any)
    return _hint(found, node) if isinstance(node, ast.expr) else Any


def _generic(module: str, head: str, inner: Sequence[ast.expr]) -> Any:
    if head == "Literal":
        return Literal[tuple(ast.literal_eval(each) for each in inner)]
    if head == "Annotated":
        marks = [mark for each in inner[1:] if (mark := _mark(module, each)) is not None]
        plain = _hint(module, inner[0])
        return Annotated[plain, *marks] if marks else plain
    hints = tuple(Ellipsis if ast.unparse(each) == "..." else _hint(module, each) for each in inner)
    if head in ("Union", "Optional"):
        return functools.reduce(operator.or_, (*hints, None) if head == "Optional" else hints)
    origin = TYPES.get(head)
    return origin[hints] if origin in values.SEQUENCES else origin if origin in (dict, Mapping) else Any


def _mark(module: str, node: ast.expr) -> Any:
    """`Range(1)` and the other constraints of `litlab.config.values`; None for other libraries' metadata."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return None
    if _find(module, node.func.id)[0] != values.__name__:
        return None
    named = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    return getattr(values, node.func.id)(*map(ast.literal_eval, node.args), **named)


class Source(NamedTuple):
    """A module's source, with an index of its names."""

    text: str
    definitions: dict[str, int]  # offsets in the text
    imports: dict[str, tuple[str, str]]  # by local name, the module and the name there
    wildcards: list[str]  # modules of which everything is imported


@functools.cache
def _find(module: str, name: str) -> tuple[str, ast.AST | None]:
    """The module that defines a name which a module has, and the definition: a class, a function, or a value."""
    source = _source(module)
    if name in source.definitions:
        node = _parse(source.text, source.definitions[name])
        return module, node.value if isinstance(node, ast.Assign | ast.AnnAssign) else node
    if name in source.imports:
        return _find(*source.imports[name])
    found = (_find(each, name) for each in source.wildcards)
    return next((each for each in found if each[1] is not None), (module, None))


def _parse(text: str, start: int) -> ast.AST | None:
    """The statement at an offset; of a class only up to its __init__, because parsing the rest takes the most time."""
    after = STATEMENT.search(text, text.find("\n", start) + 1 or len(text))
    block = text[start : after.start() if after else len(text)]
    init = INIT.search(block)
    for part in (block[: init.end()] if init else block, block, text[start:]):  # a multi-line string may mislead
        try:
            return ast.parse(part).body[0]
        except SyntaxError:
            continue
    return None


@functools.cache
def _source(module: str) -> Source:
    path = _file(module)
    if path is None:
        return Source("", {}, {}, [])
    text = path.read_text(encoding="utf-8", errors="replace")
    definitions: dict[str, int] = {}
    for each in DEFINITION.finditer(text):
        if not (each[1] and _is_decorated(text, each.start())):
            definitions.setdefault(each[1] or each[2], each.start())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imports: dict[str, tuple[str, str]] = {}
    for origin, several, one in IMPORT.findall(text):
        absolute = importlib.util.resolve_name(origin, package) if origin.startswith(".") else origin
        for words in re.sub(r"#[^\n]*", "", several or one).split(","):
            there, _, here = words.partition(" as ")
            imports.setdefault((here or there).strip(), (absolute, there.strip()))
    wildcards = [origin for origin, there in imports.values() if there == "*"]
    return Source(text, definitions, imports, wildcards)


def _is_decorated(text: str, start: int) -> bool:
    """Decorators, as that of dataclasses, change a signature."""
    return text[:start].endswith("\n") and text.rfind("\n@", 0, start) == text.rfind("\n", 0, start - 1)


def _file(module: str) -> Path | None:
    """A module's file, found without an import; None if it is not written in Python."""
    top, *inner = module.split(".")
    roots = [root.joinpath(*inner) for root in _roots(top)]
    places = [path for root in roots for path in (root / "__init__.py", root.with_suffix(".py"))]
    return next((path for path in places if path.is_file()), None)


@functools.cache
def _roots(top: str) -> list[Path]:
    """The folders of a package, or the file of a module without its suffix."""
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(each) for each in spec.submodule_search_locations]
    return [Path(spec.origin).with_suffix("")] if spec.has_location and spec.origin else []
