"""House rules, checked: import direction, file size, asserts, dependencies, words."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "mezzo"
MAX_LINES = 600
MAX_FUNCTION_LINES = 60
# The package itself gathers the public names; only the top floor may import it.
PACKAGE_FLOOR_BELOW = "cli"
# A path below somebody's own folder, or a note that something is unfinished.
FORBIDDEN = re.compile(r"(?<![\w.~])/(?:home|root|work|Users)/|\b(?:TODO|FIXME|XXX)\b")


def floors() -> list[list[str]]:
    """The floors of the house, highest first, as docs/architecture.md lists them."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = []
    for line in text.splitlines():
        if line.startswith("    ") and "  " in line.strip():
            rows.append(re.split(r"\s{2,}", line.strip())[0].split())
        elif rows:
            break
    return rows


FLOORS = floors()
HEIGHT = {name: len(FLOORS) - n for n, names in enumerate(FLOORS) for name in names}
FILES = sorted(path for path in SOURCE.rglob("*.py"))
MODULES = {
    ".".join(("mezzo", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in FILES
}


def module_of(path: Path) -> str:
    return next(name for name, other in MODULES.items() if other == path)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, inside: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import that runs, with whether it stands inside a function."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, inside
        deeper = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, deeper)


def targets(node: ast.stmt, importer: str) -> list[str]:
    """The modules of mezzo that an import statement loads, by full name."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = node.module or ""
        if node.level:
            package = importer if MODULES[importer].name == "__init__.py" else parent(importer)
            for _ in range(node.level - 1):
                package = parent(package)
            base = f"{package}.{base}".rstrip(".")
        names = [
            f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
            for alias in node.names
        ]
    return [name for name in names if name == "mezzo" or name.startswith("mezzo.")]


def parent(module: str) -> str:
    return module.rpartition(".")[0]


def floor_of(module: str) -> int:
    """Height of a module's floor; the package itself stands just below the top floor."""
    first = module.split(".")[1] if "." in module else None
    if first is None or module == "mezzo.__main__":
        return HEIGHT[PACKAGE_FLOOR_BELOW] - (first is None) * 0.5
    assert first in HEIGHT, f"{module} is on no floor of docs/architecture.md: add it to the list"
    return HEIGHT[first]


def edges() -> Iterator[tuple[str, str, int, bool]]:
    """(importing module, imported module, line, inside a function) over all of src/mezzo."""
    for name, path in MODULES.items():
        for node, inside in imports(ast.parse(path.read_text(encoding="utf-8"))):
            for target in targets(node, name):
                yield name, target, node.lineno, inside


EDGES = list(edges())


def test_architecture_lists_the_floors():
    assert len(FLOORS) >= 8, f"docs/architecture.md lists only {FLOORS}"
    assert {"core", "ops", "kernels", "errors"} <= HEIGHT.keys()


def test_every_module_is_on_a_floor():
    for name in MODULES:
        floor_of(name)


def test_imports_point_only_downwards():
    wrong = [
        f"{importer} line {line} imports {target}"
        for importer, target, line, _ in EDGES
        if floor_of(importer) < floor_of(target)
    ]
    assert not wrong, "imports that point upwards:\n" + "\n".join(wrong)


PYTORCHS = {"_BatchNorm"}  # names that people import from PyTorch, underscore and all


def test_private_names_stay_in_their_module():
    wrong = []
    for name, path in MODULES.items():
        for node, _ in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and targets(node, name):
                private = {a.name for a in node.names if re.fullmatch("_[^_].*", a.name)}
                wrong += [f"{name} line {node.lineno} imports {n}" for n in private - PYTORCHS]
    assert not wrong, "names with an underscore are their module's own:\n" + "\n".join(wrong)


def test_folders_of_one_floor_do_not_import_each_other_in_a_circle():
    """On one floor a folder may stand on another, but not both on each other."""
    pairs = {
        (importer.split(".")[1], target.split(".")[1])
        for importer, target, _, _ in EDGES
        if "." in importer and "." in target
    }
    both = sorted({tuple(sorted(p)) for p in pairs if p[0] != p[1] and p[::-1] in pairs})
    assert not both, f"folders that import each other: {both}"


def test_no_import_of_mezzo_inside_a_function():
    late = [f"{importer} line {line}: {target}" for importer, target, line, i in EDGES if i]
    assert not late, "late imports of mezzo:\n" + "\n".join(late)


@pytest.mark.parametrize("folder", ["src", "tests", "examples", "benchmarks", "tools"])
def test_files_are_not_too_long(folder):
    sizes = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    long = {str(path): size for path, size in sizes.items() if size > MAX_LINES}
    assert not long, f"over {MAX_LINES} lines; split them: {long}"


def test_functions_are_not_too_long():
    long = []
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                # The docstring explains and is not what makes a function hard to follow.
                body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
                lines = node.end_lineno - body[0].lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name}.{node.name}: {lines}")
    assert not long, f"functions over {MAX_FUNCTION_LINES} lines:\n" + "\n".join(long)


def test_asserts_say_what_is_wrong():
    bare = [
        f"{name} line {node.lineno}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert not bare, f"asserts without a message: {bare}"


def test_no_forbidden_words():
    texts = [*FILES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml"]
    texts += (ROOT / "examples").rglob("*.py")
    found = [
        f"{path.relative_to(ROOT)} line {number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert not found, "paths of one machine, or unfinished work:\n" + "\n".join(found)


EXTRAS = ("serve", "video")  # what users may add to an installation


def declared(section: str) -> set[str]:
    """Names of the dependencies in one list of pyproject.toml, in lower case."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf"^{section} = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert found, f"pyproject.toml has no list {section!r}"
    return {name.lower() for name in re.findall(r'"([A-Za-z0-9_.-]+?)[<>=!~]', found[1])}


def test_every_dependency_has_a_reason():
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = {name.lower() for name in re.findall(r"^- \*\*(\S+)\*\*: \S", page, re.MULTILINE)}
    wanted = set().union(*(declared(x) for x in ("dependencies", *EXTRAS, "test", "dev")))
    assert wanted == explained, f"docs/dependencies.md differs: {sorted(wanted ^ explained)}"


def test_third_party_imports_are_declared():
    """What the package imports is what it asks pip for."""
    names = {"PIL": "pillow", "yaml": "pyyaml"}
    standard = sys.stdlib_module_names
    found = set()
    for path in FILES:
        for node, _ in imports(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            found |= {module.split(".")[0] for module in modules}
    outside = {names.get(m, m).lower() for m in found - standard - {"mezzo"}}
    asked = declared("dependencies").union(*map(declared, EXTRAS))
    assert outside <= asked, f"imported but not in pyproject.toml: {sorted(outside - asked)}"


def test_extras_are_imported_late():
    """What only an extra installs is imported inside functions: without it everything else works."""
    extras = set().union(*map(declared, EXTRAS))
    early = [
        f"{name}: {ast.unparse(node)}"
        for name, path in MODULES.items()
        for node, inside in imports(ast.parse(path.read_text(encoding="utf-8")))
        if not inside and set(re.findall(r"\w+", ast.unparse(node))) & extras
    ]
    assert not early, "imports at the top of a module:\n" + "\n".join(early)


def test_importing_mezzo_does_not_load_llvm():
    """LLVM is loaded when something is first compiled or linked: it takes longer than the rest."""
    code = "import sys, mezzo; print('llvmlite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
