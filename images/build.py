"""The images in the order in which they need each other, each made only when what it is made of has changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from images.apt import APT, mirror_of, mirrors
from images.authorities import authorities_in
from images.context import Part
from images.digests import digest, of_files
from images.engine import Engine
from images.locks import Pin, Target, environment_of, pins_for
from images.origin import ENVIRONMENT_LABEL, VERSION_LABEL, Origin, origin_of
from images.root import archive, check_machine, make_root, read_recipe
from images.wheels import download, installer, own_wheel, source_digest

BASE, RUNTIME, WORKER, SERVER = "datacanal-base", "datacanal-runtime", "datacanal-worker", "datacanal-server"
HERE = Path(__file__).parent
_ASK = """
import json, os, platform, venv
print(json.dumps([platform.python_version(), platform.machine(), os.confstr("CS_GNU_LIBC_VERSION")]))
"""


@dataclass
class Build:
    """One run over a tree. What the site chose is in the environment: BASE_IMAGE, CA_BUNDLE, IMAGE_TAG, and others."""

    tree: Path
    engine: Engine
    environment: Mapping[str, str]
    say: Callable[[str], None]
    cache: Path = field(init=False)

    def __post_init__(self) -> None:
        self.cache = self.tree / ".cache" / "images"
        self.cache.mkdir(parents=True, exist_ok=True)

    def all(self) -> tuple[str, ...]:
        """Makes whatever is missing; gives the names of the images that are there afterwards."""
        base = self.environment.get("BASE_IMAGE") or self._own_base()
        if not self.engine.has(base):
            self.engine.pull(base)
        target = self._target(base)
        with self._told("wheels"):
            shared, own, origin = self._wheels(target)
        runtime = self._runtime(base, shared)
        found = {ENVIRONMENT_LABEL: environment_of(target, self._pins(target))}
        parts = {"pip": installer(), "own": own}
        made = (
            self._final(WORKER, runtime, parts, {**origin.labels("Datacanal worker"), **found}),
            self._final(SERVER, runtime, parts, origin.labels("Datacanal server")),
        )
        return (base, runtime, *made)

    def _own_base(self) -> str:
        recipe = read_recipe(HERE / "base" / "recipe.toml")
        made_of = [HERE / "base" / "recipe.toml", HERE / "root.py"]
        tag = of_files(HERE, made_of)
        if not self.engine.has(f"{BASE}:{tag}"):
            check_machine()
            with self._told(BASE), tempfile.TemporaryDirectory(dir=self.cache) as scratch:
                root = Path(scratch, "root")
                make_root(recipe, mirror_of(recipe.suite, mirrors(APT)), root, self.cache / "debootstrap.log")
                self.engine.import_root(archive(root), BASE, tag)
        return f"{BASE}:{tag}"

    def _target(self, base: str) -> Target:
        python, machine, libc = json.loads(self.engine.ask(base, _ASK))
        return Target(python, machine, int(libc.rpartition(".")[2]))

    def _wheels(self, target: Target) -> tuple[Path, Path, Origin]:
        """Folders of the wheels of others and of our own; where our own come from."""
        shared = download(self._pins(target), target, self.cache)
        origin = origin_of(self.tree, source_digest(self.tree), self.environment)
        return shared, own_wheel(self.tree, self.cache, origin.epoch_s), origin

    def _pins(self, target: Target) -> tuple[Pin, ...]:
        return pins_for(target, (self.tree / "requirements" / "image.lock").read_text())

    def _runtime(self, base: str, wheels: Path) -> str:
        bundle = self.environment.get("CA_BUNDLE")
        authorities = authorities_in(Path(bundle)) if bundle else {}
        dockerfile = HERE / "runtime" / "Dockerfile"
        made_of: list[str | bytes] = [self.engine.id(base), wheels.name, dockerfile.read_bytes(), *authorities.values()]
        tag = f"{RUNTIME}:{digest(made_of)}"
        parts: dict[str, Part] = {"Dockerfile": dockerfile, "pip": installer(), "wheels": wheels}
        with tempfile.TemporaryDirectory(dir=self.cache) as none:
            parts["authorities"] = Path(none)
            parts |= {f"authorities/{name}": data for name, data in authorities.items()}
            if not self.engine.has(tag):
                with self._told(RUNTIME):
                    self.engine.build(parts, [tag], {"BASE": base}, {}, self.cache)
        return tag

    def _final(self, name: str, runtime: str, parts: Mapping[str, Part], labels: Mapping[str, str]) -> str:
        chosen = self.environment.get("IMAGE_TAG")
        tags = [f"{name}:{tag}" for tag in ([chosen] if chosen else ["latest", labels[VERSION_LABEL]])]
        short = name.removeprefix("datacanal-")
        with self._told(name):
            self.engine.build(
                {"Dockerfile": HERE / short / "Dockerfile", **parts},
                tags,
                {"RUNTIME": runtime},
                labels,
                self.cache,
            )
        return tags[0]

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        started = monotonic()
        yield
        self.say(f"{what:<18} {monotonic() - started:6.1f} s")
