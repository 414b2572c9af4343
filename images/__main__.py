"""`python -m images`: builds all images; BASE_IMAGE and CA_BUNDLE choose, as README.md beside this says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic

from images.build import Build
from images.engine import Engine
from images.failures import CannotBuild

CANNOT = 2
_MIB = 1 << 20


def main() -> int:
    """Exit code 0, or 2 after words about what is wrong."""
    started = monotonic()
    try:
        with Engine() as engine:
            made = Build(Path(__file__).parents[1], engine, os.environ, lambda line: print(line, flush=True)).all()
            sizes = {image: engine.size(image) for image in made}
    except CannotBuild as failure:
        print(f"{failure.what}\n{failure.remedy}", file=sys.stderr)
        return CANNOT
    print(f"built in {monotonic() - started:.1f} s")
    for image, size in sizes.items():
        print(f"{image:<36} {size / _MIB:6.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
