"""A client in TypeScript, generated from a product's OpenAPI document and checked against it by the compiler."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "second_language"
CACHE = Path(__file__).parents[2] / ".cache" / "second_language"
LEAST_NODE = 18
_WITHIN_S = 300


def lack_here() -> str:
    """Why it cannot run here, empty where it can."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        return f"no {' and no '.join(missing)}: install them, or run .ci/node"
    version = _run("node", "--version", folder=SOURCE).strip()
    if int(version.removeprefix("v").partition(".")[0]) < LEAST_NODE:
        return f"Node.js {version} is too old: {LEAST_NODE} or newer"
    return ""


class GeneratedClient:
    """A folder with the client's sources and the locked packages; `generate` first, then `compile`, then `call`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("package.json", "tsconfig.json", "main.ts"):
            shutil.copy(SOURCE / name, folder)
        (folder / "node_modules").symlink_to(_packages())

    def generate(self, document: dict[str, Any]) -> None:
        """Types of that document."""
        (self._folder / "openapi.json").write_text(json.dumps(document))
        _run("npm", "run", "generate", folder=self._folder)

    def compile(self) -> None:
        """Raises `RuntimeError` with the compiler's words."""
        _run("npm", "run", "check", folder=self._folder)

    def call(self, url: str, token: str) -> dict[str, Any]:
        """What the client says of its call."""
        said: dict[str, Any] = json.loads(_run("node", "built/main.js", url, token, folder=self._folder))
        return said


def _packages() -> Path:
    """The packages of the lock, installed once for each lock."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        new = folder.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, new)
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=new)
        new.rename(folder)
    return folder / "node_modules"


def _run(*command: str, folder: Path) -> str:
    """What the command prints. Raises `RuntimeError` with everything it said if it fails."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "NO_UPDATE_NOTIFIER": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_WITHIN_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
