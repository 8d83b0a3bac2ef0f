"""What keeps the house in order beside the contracts of import-linter: no circle, no long module, typed signatures."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "tedm"
MODULES = sorted(path for path in SRC.rglob("*.py"))
LONGEST, MOST = 400, 15

# Where JSON or somebody else's objects are read or written: these may speak of dictionaries of anything.
UNTYPED: dict[str, str] = {}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Every module of tedm and what it imports, in functions and for type checkers too."""
    graph = grimp.build_graph("tedm", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_modules_import_each_other_in_a_circle(imports):
    """A package's `__init__` imports nothing, so that a circle is one of modules."""
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for imported in sorted(imports[module]):
                visit(imported, (*path, module))
            done.add(module)

    assert len(imports) > 150
    for module in sorted(imports):
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_is_short_enough_to_be_read_at_once(path):
    assert len(path.read_text().splitlines()) <= LONGEST


def test_no_floor_is_crowded():
    packages = {path.parent for path in MODULES}
    counts = {str(package.relative_to(SRC)): len(list(package.glob("[!_]*.py"))) for package in packages}
    assert {package: count for package, count in counts.items() if count > MOST} == {}


def signatures() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(SRC)}:{node.name}", node


def test_no_signature_hands_on_dictionaries_of_anything():
    untyped = set()
    for where, function in signatures():
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        types = [ast.unparse(each.annotation) for each in arguments if each.annotation]
        types += [ast.unparse(function.returns)] if function.returns else []
        if function.args.kwarg is not None and function.args.kwarg.annotation is not None:
            types += ["dict[str, Any]"] * (ast.unparse(function.args.kwarg.annotation) == "Any")
        if any(re.search(r"\bdict\[str, Any\]", each) for each in types):
            untyped.add(where)
    assert untyped == set(UNTYPED)


def test_only_the_store_asks_whether_features_are_a_store():
    asking = []
    for path in MODULES:
        if path.parent.name == "store":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                asked = ast.unparse(node.args[1])
                if re.search(r"\b(FeatureStore|OnLevels|LiveFeatures|Features)\b", asked):
                    asking.append(f"{path.relative_to(SRC)}:{node.lineno}")
    assert asking == []


def test_nobody_asks_for_a_head_by_its_name():
    """A head states its capabilities; the registry alone knows names."""
    asking = [
        f"{path.relative_to(SRC)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\.head\s*[!=]=\s*[\"']|[\"'](mlp|logistic|xgboost|sklearn)[\"']\s*[!=]=", line)
    ]
    assert asking == []
