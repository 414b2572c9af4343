"""Small changes that a good test notices: one comparison, connective, constant, sum or raise of a module at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}

Change = Callable[[ast.AST], str]
"""Changes a node in place and says how."""


@dataclass(frozen=True)
class Mutant:
    """A module's source with one change."""

    module: str
    line: int
    change: str
    source: str


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Every mutant of the source, in the order of the text."""
    tree = ast.parse(source)
    for number, (node, change) in enumerate(_places(tree)):
        changed = copy.deepcopy(tree)
        twin, _ = list(_places(changed))[number]
        said = change(twin)
        yield Mutant(module, getattr(node, "lineno", 0), said, ast.unparse(changed))


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    silent = _unnoticeable(tree)
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
            yield node, _swap_comparison
        elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in _SWAPS:
            yield node, _swap_operator
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, _affirm
        elif isinstance(node, ast.Raise):
            yield node, _never_raise
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | str) and node.value != "":
            yield node, _other_constant


_WORDS = frozenset({"hint", "reason", "remedy", "words"})
"""Arguments that hold words for people; tests are about what they say, not about how."""


def _unnoticeable(tree: ast.AST) -> set[int]:
    """Nodes that no test can notice, with all inside them: types, decorators, texts that stand alone, words."""
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        roots += [each for each in (getattr(node, "annotation", None), getattr(node, "returns", None)) if each]
        roots += getattr(node, "decorator_list", [])
        if isinstance(node, ast.keyword) and node.arg in _WORDS:
            roots.append(node)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            roots.append(node)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            roots.append(node)
    return {id(inner) for root in roots for inner in ast.walk(root)}


def _swap_comparison(node: ast.AST) -> str:
    assert isinstance(node, ast.Compare)
    before = type(node.ops[0])
    node.ops[0] = _SWAPS[before]()  # type: ignore[call-overload]  # a comparison's twin is a comparison
    return f"{before.__name__} is {type(node.ops[0]).__name__}"


def _swap_operator(node: ast.AST) -> str:
    assert isinstance(node, ast.BoolOp | ast.BinOp)
    before = type(node.op)
    node.op = _SWAPS[before]()  # type: ignore[assignment]  # an operator's twin is one of the same kind
    return f"{before.__name__} is {type(node.op).__name__}"


def _affirm(node: ast.AST) -> str:
    assert isinstance(node, ast.UnaryOp)
    node.op = ast.UAdd()
    node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])
    return "not is dropped"


def _never_raise(node: ast.AST) -> str:
    assert isinstance(node, ast.Raise)
    node.__class__ = ast.Pass  # type: ignore[assignment]  # the two have the same layout
    return "raise is dropped"


def _other_constant(node: ast.AST) -> str:
    assert isinstance(node, ast.Constant)
    before = node.value
    match before:
        case bool():
            node.value = not before
        case int():
            node.value = before + 1
        case _:
            node.value = ""
    return f"{before!r} is {node.value!r}"
