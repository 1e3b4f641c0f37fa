"""What the signatures of the package say."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import longtail

FILES = sorted(Path(longtail.__file__).parent.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(node: ast.AST) -> Iterator[Function]:
    """Functions and methods without a leading underscore, and constructors, in classes without one."""
    for child in ast.iter_child_nodes(node):
        public = isinstance(child, Function | ast.ClassDef) and (child.name[0] != "_" or child.name == "__init__")
        if public and isinstance(child, ast.ClassDef):
            yield from public_functions(child)
        elif public:
            yield child


def annotations(function: Function) -> Iterator[ast.expr]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    yield from (argument.annotation for argument in every if argument is not None and argument.annotation is not None)
    if function.returns is not None:
        yield function.returns


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_any_in_a_public_signature_has_its_reason_beside_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    for function in public_functions(ast.parse(text)):
        names = {getattr(node, "id", None) for annotation in annotations(function) for node in ast.walk(annotation)}
        signature = range(function.lineno, function.body[0].lineno)
        assert "Any" not in names or comments & set(signature), f"{function.name}, line {function.lineno}: why Any?"
