"""How containers and networks are told apart in an engine that others may use too."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from datacanal.site.launcher.settings import SiteGround


class Label(StrEnum):
    """The labels of ours."""

    SITE = "datacanal.site"
    SCOPE = "datacanal.scope"
    POOL = "datacanal.pool"
    BOOT = "datacanal.boot"
    NAME = "datacanal.name"
    ROLE = "datacanal.role"
    SPECIFICATION = "datacanal.specification"
    JOB = "datacanal.job"
    STEP = "datacanal.step"
    FENCE = "datacanal.fence"
    ENVIRONMENT = "datacanal.environment"
    """Of an image: its Python version and packages, as JSON."""


def owner_labels(site: SiteGround) -> dict[str, str]:
    """What everything of this site has, and nothing else."""
    return {Label.SITE: site.name, Label.SCOPE: site.scope}


def labels_of(site: SiteGround, *, pool: str, boot: str) -> dict[str, str]:
    """Of what belongs to a pool."""
    return {**owner_labels(site), Label.POOL: pool, Label.BOOT: boot}


def engine_name(site: SiteGround, name: str) -> str:
    """What a container or a pool's network is called in the engine.

    No name of a site, pool or container holds a dot, so no two share one.
    """
    return f"datacanal-{_plain(site.name)}-{name}.{site.scope}"


def _plain(site: str) -> str:
    """The engine's names are ASCII; a site's need not be."""
    return site if site.isascii() else f"u.{hashlib.sha256(site.encode()).hexdigest()[:16]}"
