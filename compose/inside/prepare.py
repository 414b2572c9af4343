"""Lays out what a site's owner gives it: configuration, policy and the sample lake. Run again it changes nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from string import Template

from datacanal.cli.demo.lakes import SampleSize, ensure_lakes

HERE = Path(__file__).parent
GROUND = Path("/var/lib/datacanal")
"""Here; the site has the same volume, read-only, at /srv/datacanal. In the image this folder is its user's."""


def main() -> None:
    """Where volumes are on the engine's machine, image, names and size of the lake are in the environment."""
    given = os.environ
    configuration = Template((HERE / "site.toml").read_text(encoding="utf-8")).substitute(
        site=given["SITE"],
        lake=given["LAKE"],
        reserve=given["RESERVE"],
        worker=given["WORKER"],
        home=given["HOME_ON_HOST"],
        ground=given["LAKE_ON_HOST"],
    )
    (GROUND / "datacanal.toml").write_text(configuration, encoding="utf-8")
    shutil.copyfile(HERE / "policy.toml", GROUND / "policy.toml")
    make_lake(given["LAKE"], SampleSize(scale=scale_in(given["SCALE"])))


def scale_in(text: str) -> float:
    """The size of the sample. Ends the program with words for one that is none."""
    try:
        return float(text)
    except ValueError:
        raise SystemExit(f"DATACANAL_SCALE is {text!r}, and must be a number such as 0.05") from None


def make_lake(lake: str, size: SampleSize) -> None:
    """The sample has two lakes; only this one is kept."""
    if (GROUND / "lake").exists():
        return
    unfinished = GROUND / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        ensure_lakes(Path(scratch), size)
        shutil.copytree(Path(scratch, lake), unfinished)
    unfinished.rename(GROUND / "lake")


if __name__ == "__main__":
    main()
