"""The launcher's sockets: one per site, which nobody but the owner of that site's home may open."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from datacanal.domain.errors import BadConfiguration

_BACKLOG = 256


def open_door(file: Path, site_home: Path) -> socket.socket:
    """A listening socket for the owner of the site's home; one that an earlier launcher left is replaced.

    Raises `BadConfiguration` where the place cannot hold it.
    """
    owner = site_home.stat()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before it has a name, so that there is no moment in which others may open it.
        os.fchmod(listening.fileno(), 0o600)
        file.unlink(missing_ok=True)
        listening.bind(str(file))
        os.chown(file, owner.st_uid, owner.st_gid)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        reason = f"the launcher's socket {file} cannot be made: {error.strerror or error}"
        raise BadConfiguration(file="configuration", key="home", reason=reason) from None
    listening.setblocking(False)
    return listening
