"""What the signatures of the package say."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import longtail

FILES = sorted(Path(longtail.__file__).parent.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_public(name: str) -> bool:
    """Whether it has no leading underscore, or is a method that Python calls."""
    return name[0] != "_" or (name.startswith("__") and name.endswith("__"))


def public_functions(node: ast.AST) -> Iterator[Function]:
    """Functions and methods without a leading underscore, and those that Python calls, in classes without one."""
    for child in ast.iter_child_nodes(node):
        public = isinstance(child, Function | ast.ClassDef) and is_public(child.name)
        if public and isinstance(child, ast.ClassDef):
            yield from public_functions(child)
        elif public:
            yield child


def public_attributes(tree: ast.AST) -> Iterator[ast.AnnAssign]:
    """What public classes say of their attributes: of data, of protocols, and of what a method sets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            for statement in ast.walk(node):
                target = statement.target if isinstance(statement, ast.AnnAssign) else None
                name = getattr(target, "attr", None) or (getattr(target, "id", "_") if statement in node.body else "_")
                if isinstance(statement, ast.AnnAssign) and is_public(name):
                    yield statement


def has_any(annotation: ast.expr) -> bool:
    return any(getattr(node, "id", None) == "Any" for node in ast.walk(annotation))


def annotations(function: Function) -> Iterator[ast.expr]:
    arguments = function.args
    nodes = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    yield from (argument.annotation for argument in nodes if argument is not None and argument.annotation is not None)
    if function.returns is not None:
        yield function.returns


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_any_in_a_public_signature_has_its_reason_beside_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    tree = ast.parse(text)
    spans = [(f.lineno, f.body[0].lineno - 1) for f in public_functions(tree) if any(map(has_any, annotations(f)))]
    spans += [(node.lineno, node.lineno) for node in public_attributes(tree) if has_any(node.annotation)]
    for first, last in spans:
        reasons = [comments[line] for line in range(first, max(first, last) + 1) if line in comments]
        assert reasons, f"line {first}: why Any?"
        assert not any(re.match(r"# as (above|in the base)", reason) for reason in reasons), f"line {first}: why?"


def constructors(tree: ast.AST) -> Iterator[ast.arg]:
    """The arguments that public classes are made with."""
    for function in public_functions(tree):
        if function.name == "__init__":
            yield from (*function.args.args, *function.args.kwonlyargs)


@pytest.mark.parametrize("room", ["data", "models", "methods"])
def test_a_path_that_people_give_may_be_a_text(room: str) -> None:
    for file in FILES:
        if file.relative_to(FILES[0].parent).parts[0] == room:
            for argument in constructors(ast.parse(file.read_text(encoding="utf-8"))):
                names = {getattr(node, "id", None) for node in ast.walk(argument.annotation or argument)}
                assert "Path" not in names, f"{file}, line {argument.lineno}: AnyPath"
