"""What owners and operators do once, as docs/operator.md has it under "Several machines": join, and pin each other.

All of it is done before a site's agent starts for the first time, in its launcher's container, which has its home.
"""

from __future__ import annotations

from pathlib import Path

from compose.project import SITES, Project

HOME = Path("/var/lib/datacanal")
_CONFIG = ["--config", "/srv/datacanal/datacanal.toml"]
_ADMIN = {"DATACANAL_URL": "https://localhost:8400", "DATACANAL_HOME": str(HOME)}


def introduce(project: Project) -> None:
    """Start everything; each site has joined and knows the other when this returns. Raises `CannotRun`."""
    project.up("control", *(_home_of(site) for site in SITES))
    shown = {site: _shown(project, site) for site in SITES}
    for site in SITES:
        for other, (fingerprint, certificate) in shown.items():
            if other != site:
                _pin(project, site, other, fingerprint, certificate)
    project.wait_until_healthy("control")
    for site in SITES:
        project.put(_home_of(site), HOME / "sites" / site / "token", _token(project, site, "site"))
    project.up()
    project.wait_until_healthy(*SITES)


def welcome(project: Project, name: str) -> str:
    """Give the client what proves the control plane; the token of a new analyst."""
    project.put("client", HOME / "control.pem", project.run("control", ["cat", str(HOME / "control.pem")]))
    return _token(project, name, "analyst")


def _home_of(site: str) -> str:
    return f"{site}-launcher"


def _token(project: Project, name: str, role: str) -> str:
    command = ["datacanal", "token", "create", "--name", name, "--role", role, "--expires", "1d"]
    return project.run("control", command, **_ADMIN).strip()


def _shown(project: Project, site: str) -> tuple[str, str]:
    """A site's fingerprint, and its certificate (PEM)."""
    lines = project.run(_home_of(site), ["datacanal", "site", "identity", site, *_CONFIG]).splitlines()
    fields = dict(line.split(None, 1) for line in lines)
    return fields["fingerprint"], project.run(_home_of(site), ["cat", fields["certificate"]])


def _pin(project: Project, site: str, other: str, fingerprint: str, certificate: str) -> None:
    file = HOME / f"{other}.pem"
    project.put(_home_of(site), file, certificate)
    told = ["--fingerprint", fingerprint]
    project.run(_home_of(site), ["datacanal", "site", "trust", site, other, str(file), *told, *_CONFIG])
