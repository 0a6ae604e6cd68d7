"""The rules of the house: who imports whom, and how long and how explained things are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "wampush"
MODULES = [*sorted(PACKAGE.rglob("*.py")), ROOT / "twisted" / "plugins" / "wampush_plugin.py"]
MOST_LINES = 400
MOST_FUNCTION_LINES = 50
MOST_MODULES = 20


def tree_of(module: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(module.read_text(encoding="utf-8"), str(module))


def imported_modules(module: Path) -> set[str]:
    """The full names of all modules that a file of wampush names in its imports."""
    parts = module.relative_to(ROOT).with_suffix("").parts
    names: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports here are absolute"
            assert node.module is not None
            names.add(node.module)
            if node.module == "wampush":
                names.remove(node.module)
                names.update(f"wampush.{alias.name}" for alias in node.names)
    names.discard(".".join(parts))
    return names


def test_the_import_contracts_hold() -> None:
    # In a process of its own: the linter fails where another test has imported a Twisted reactor.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--config", "setup.cfg", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_imports_go_in_a_circle() -> None:
    """Neither between modules nor between packages; imports for type checking count."""
    graph = grimp.build_graph("wampush", cache_dir=None)
    assert len(graph.modules) > 200
    imported = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    tuple(TopologicalSorter(imported).static_order())  # Raises CycleError, which names the circle.
    packages = [name for name in graph.modules if graph.find_children(name)]
    circles = {name: graph.nominate_cycle_breakers(name) for name in packages}
    assert {name: imports for name, imports in circles.items() if imports} == {}


@pytest.mark.parametrize(
    "module",
    sorted((PACKAGE / "wamp").glob("*.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_the_protocol_imports_the_standard_library_orjson_and_errors_only(module: Path) -> None:
    foreign = {
        name
        for name in imported_modules(module)
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "orjson"}
        and name not in {"wampush.errors", "wampush.excerpts"}
        and name != "wampush.wamp"
        and not name.startswith("wampush.wamp.")
    }
    assert foreign == set()


def named(path: Path) -> str:
    """A file or folder as failures name it."""
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def trees() -> Mapping[str, ast.Module]:
    """The syntax trees of all modules, by name."""
    return {named(module): tree_of(module) for module in MODULES}


def test_a_module_says_what_it_owns(trees: Mapping[str, ast.Module]) -> None:
    assert [name for name, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_a_module_is_short() -> None:
    lengths = {named(each): len(each.read_text("utf-8").splitlines()) for each in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_functions_are_short(trees: Mapping[str, ast.Module]) -> None:
    lengths = {
        f"{name}: {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_FUNCTION_LINES} == {}


@pytest.mark.parametrize(
    "package",
    sorted(path.parent for path in PACKAGE.rglob("__init__.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_a_folder_can_be_taken_in_at_a_glance(package: Path) -> None:
    modules = [path for path in package.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES


@pytest.mark.parametrize(
    "package",
    sorted(PACKAGE.rglob("__init__.py")),
    ids=lambda path: path.parent.relative_to(ROOT).as_posix(),
)
def test_a_package_only_hands_names_on(package: Path) -> None:
    docstring, *statements = tree_of(package).body
    assert isinstance(docstring, ast.Expr)
    for statement in statements:
        is_name = isinstance(statement, ast.Assign) and all(
            isinstance(target, ast.Name) and target.id in {"__all__", "__version__"}
            for target in statement.targets
        )
        assert is_name or isinstance(statement, ast.Import | ast.ImportFrom), ast.unparse(statement)


def test_the_plugin_folder_is_no_package() -> None:
    """With an ``__init__.py`` these folders would hide Twisted's own."""
    assert not list((ROOT / "twisted").rglob("__init__.py"))
