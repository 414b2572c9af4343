"""The look at the folders that a container is to have, just before it is made."""

from __future__ import annotations

from collections.abc import Iterable

from datacanal.domain.errors import ContainerRefused
from datacanal.site.launcher.hardening import Mount


def check_folders(mounts: Iterable[Mount], site: str) -> None:
    """Raise `ContainerRefused` unless each is a directory that is reached without any link."""
    for mount in mounts:
        if reason := _what_is_wrong(mount):
            hint = "The agent makes its folders before it asks for a container; lakes are named in the configuration."
            raise ContainerRefused(site=site, reason=f"{mount.folder.path} {reason}", hint=hint)


def _what_is_wrong(mount: Mount) -> str | None:
    real = mount.folder.real
    try:
        resolved = real.resolve(strict=True)
    except FileNotFoundError:
        return "does not exist"
    except (OSError, RuntimeError):  # a loop of links, or no permission to look
        return "cannot be looked at"
    if resolved != real:
        return "is reached through a link"
    return None if real.is_dir() else "is not a directory"
