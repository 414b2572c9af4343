"""`datacanal site identity`, `trust` and `peers`: who a site is and whom it knows. At the site, without the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.session import print_table
from datacanal.configuration import Configuration, load_configuration
from datacanal.domain.errors import BadField, FileNotWritable

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.")]
Site = Annotated[str, typer.Argument(metavar="NAME", help="A site of the configuration.")]
_DEFAULT = Path("datacanal.toml")


def add_to(group: typer.Typer) -> None:
    """The commands, in the group `site`."""
    group.command("identity")(show_identity)
    group.command("trust")(trust)
    group.command("peers")(list_peers)


def show_identity(name: Site, config: Config = _DEFAULT) -> None:
    """Print a site's name, its fingerprint and where its certificate is; both are made on first use."""
    # As in `parts`: commands that do not need the site's code do not pay for the import.
    from datacanal.site.identity import load_identity

    try:
        identity = load_identity(_home(load_configuration(config), name), name, os.urandom)
    except OSError as error:
        raise _not_writable(error) from None
    print(f"site         {name}")
    print(f"fingerprint  {in_groups(identity.certificate.fingerprint)}")
    print(f"certificate  {identity.pair.certificate}")


def trust(
    name: Site,
    peer: Annotated[str, typer.Argument(metavar="PEER", help="The other site.")],
    certificate: Annotated[Path, typer.Argument(metavar="CERTFILE", help="Its certificate (PEM).")],
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="What its owner told you; asked for where it is not given.")
    ] = None,
    config: Config = _DEFAULT,
) -> None:
    """Pin another site's certificate: from now on the site fetches from it, and lets it fetch."""
    # As above.
    from datacanal.certificates import read_site_certificate
    from datacanal.site.peers import Peers, pin

    home = _home(load_configuration(config), name)
    try:
        shown = read_site_certificate(certificate.read_text(encoding="ascii"))
    except OSError as error:
        raise BadField(field=str(certificate), reason=error.strerror or str(error)) from None
    except ValueError as error:
        raise BadField(field=str(certificate), reason=str(error)) from None
    if shown.site != peer or peer == name:
        raise BadField(field=str(certificate), reason=f"it is the certificate of site {shown.site!r}")
    known = Peers(home, name).all().get(peer)
    if known is not None and known.fingerprint != shown.fingerprint:
        print(f"site {peer} is known here by another key, which this one replaces: {in_groups(known.fingerprint)}")
    _check_fingerprint(shown.fingerprint, fingerprint)
    try:
        file = pin(home, shown)
    except OSError as error:
        raise _not_writable(error) from None
    print(f"site {name} now knows site {peer} ({file})")


def list_peers(name: Site, config: Config = _DEFAULT) -> None:
    """The other sites that a site knows."""
    # As above.
    from datacanal.site.peers import Peers

    known = Peers(_home(load_configuration(config), name), name).all()
    print_table(["site", "fingerprint"], [[site, in_groups(pinned.fingerprint)] for site, pinned in known.items()])


def in_groups(fingerprint: str) -> str:
    """A fingerprint as people compare it."""
    return " ".join(fingerprint[at : at + 8] for at in range(0, len(fingerprint), 8))


def _check_fingerprint(shown: str, told: str | None) -> None:
    if told is None:
        print(f"fingerprint  {in_groups(shown)}")
        if not typer.confirm("Is this what its owner told you, not by the way that the file came?"):
            raise typer.Exit(1)
        return
    if "".join(told.split()).replace(":", "").lower() != shown:
        raise BadField(field="--fingerprint", reason=f"the certificate's is {in_groups(shown)}; do not trust this file")


def _home(configuration: Configuration, name: str) -> Path:
    configuration.site(name)
    home = configuration.site_home(name)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(error) from None
    return home


def _not_writable(error: OSError) -> FileNotWritable:
    return FileNotWritable(file=str(error.filename), reason=error.strerror or str(error))
