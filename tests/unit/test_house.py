"""The house rules that a machine can hold: layout, import arrows, sizes, locks and quiet imports."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "platform" / "datacanal"
MODULES = sorted(PACKAGE.rglob("*.py"))
OURS = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 50
LONG = {
    "platform/datacanal/domain/errors.py": "one flat list of every failure, read as a table",
}
LONG_FUNCTIONS = ("migrations/versions/",)  # a migration is one list of what changes, and never touched again
UNPICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "distributed", "dask"}
SENDER = "client/baggage.py"  # it pickles what a user submits, and never unpickles
POOL = {
    f"site/engine/{name}.py"
    for name in (
        *("runner", "worker", "scheduler"),
        *("job_scheduler", "job_worker", "driver", "function", "context", "given", "returned", "own_cluster"),
    )
}


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_platform_never_shadows_the_standard_library() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


# ---------------------------------------------------------------- imports


VIOLATIONS = {
    "imports point down": ("protocol/base.py", "import datacanal.planning"),
    "the control plane never touches Dask": ("control/__init__.py", "import distributed"),
    "the client needs only the protocol": ("client/__init__.py", "import duckdb"),
    "inside a site only the runner, the workers and Python jobs": ("site/__init__.py", "import pickle"),
    "Docker is spoken to by the launcher's engine alone": ("site/joining.py", "import docker"),
    "the domain uses the standard library only": ("domain/errors.py", "import pydantic"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", "pyproject.toml"]
    environment = {**os.environ, "PYTHONPATH": str(root / "platform"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_import_arrows_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def test_a_planted_import_against_an_arrow_is_caught(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "platform" / "datacanal", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in VIOLATIONS.values():
        with (tmp_path / "platform" / "datacanal" / name).open("a") as file:
            file.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert done.returncode != 0
    assert [name for name in VIOLATIONS if not any(line.startswith(name) for line in broken)] == [], done.stdout


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_nothing_outside_the_pool_can_unpickle() -> None:
    outside = [file for file in MODULES if str(file.relative_to(PACKAGE)) not in {*POOL, SENDER}]
    assert {relative(file): found for file in outside if (found := UNPICKLERS & set(imported(file)))} == {}


def test_whoever_sends_functions_only_pickles() -> None:
    file = PACKAGE / SENDER
    tree = ast.parse(file.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cloudpickle"
    }
    assert UNPICKLERS & set(imported(file)) == {"cloudpickle"}
    assert used == {
        "dumps", "list_registry_pickle_by_value", "register_pickle_by_value", "unregister_pickle_by_value",
    }  # fmt: skip


QUIET = """
import importlib, json, os, sys

package, modules = sys.argv[1], sys.argv[2].split()
found = []

def place():
    # The innermost frame that is not the standard library's: ours, or a library's that may do as it likes.
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "importlib" in name or "site-packages" in name:
            return None
        if name.startswith(package):
            return f"{name.removeprefix(package)}:{frame.f_lineno}"
        frame = frame.f_back
    return None

LOUD = ("open", "socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.listdir", "os.scandir",
        "os.remove", "os.rename", "sqlite3.connect", "os.fork", "os.exec", "os.putenv", "tempfile.mkstemp")

def hook(event, arguments):
    if event in LOUD and (where := place()):
        found.append(f"{where} {event} {arguments[:1]}")

class Watched(type(os.environ)):
    def __getitem__(self, key):
        if where := place():
            found.append(f"{where} reads the environment: {key}")
        return super().__getitem__(key)

os.environ.__class__ = Watched
sys.addaudithook(hook)
for module in modules:
    importlib.import_module(module)
print(json.dumps(found))
"""


def noise(source_root: Path) -> list[str]:
    """What importing every module of the package below does beside importing, in a fresh interpreter."""
    names = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in MODULES]
    # What runs when it is called by name, and what Alembic loads by path inside a migration, are no imports.
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    names = [name for name in names if ".migrations" not in name]
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", QUIET, f"{source_root}/datacanal/", " ".join(names)],
        env={**os.environ, "PYTHONPATH": str(source_root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_importing_any_module_does_nothing() -> None:
    assert noise(PACKAGE.parent) == []


def test_a_planted_import_that_does_something_is_caught(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "datacanal", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "datacanal" / "lifeline.py").open("a") as file:
        file.write("\nHOME = os.environ['HOME']\nopen('/dev/null').close()\n")
    found = noise(tmp_path)
    assert len(found) == 2
    assert all(line.startswith("lifeline.py:") for line in found)


# ---------------------------------------------------------------- sizes


def test_modules_are_at_most_400_lines() -> None:
    lines = {relative(file): file.read_text(encoding="utf-8").count("\n") for file in OURS}
    assert {name: count for name, count in lines.items() if count > MOST_LINES and name not in LONG} == {}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{relative(file)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_are_at_most_50_lines() -> None:
    short = [file for file in OURS if not any(folder in str(file) for folder in LONG_FUNCTIONS)]
    long = {name: lines for file in short for name, lines in functions(file) if lines > MOST_LINES_OF_A_FUNCTION}
    assert long == {}


# ---------------------------------------------------------------- locks


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda lock: lock.name)
def test_a_lock_pins_by_hash_and_names_no_index(lock: Path) -> None:
    text = lock.read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert not any(line.startswith("-") for line in lines)
    assert "://" not in text
    assert all("==" in line for line in lines)
    assert text.count("--hash=sha256:") >= len(lines)
