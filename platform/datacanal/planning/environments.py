"""What a function was written with, and what a site has."""

from __future__ import annotations

from datacanal.domain.errors import EnvironmentDiffers
from datacanal.protocol.plan import PythonEnvironment


def check_environment(needed: PythonEnvironment, found: PythonEnvironment, site: str) -> None:
    """Raise `EnvironmentDiffers`, naming all that differs."""
    differences = []
    if needed.python != found.python:
        differences.append(f"Python {needed.python} (there {found.python})")
    for name, version in sorted(needed.packages.items()):
        there = found.packages.get(name)
        if there != version:
            differences.append(f"{name} {version} (there {there or 'it is missing'})")
    if differences:
        raise EnvironmentDiffers(site=site, differences=", ".join(differences))
