"""Keep the newest view: look at the store's revision ten times a second, read everything when it has grown."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from datacanal.domain.errors import StoreUnavailable
from datacanal.gateway.loading import Loader
from datacanal.gateway.view import View
from datacanal.looking import SharedLook
from datacanal.serving.handlers import failure_fields
from datacanal.state import MIGRATIONS, PLACE
from datacanal.storage.databases import open_to_read
from datacanal.storage.migrating import is_migrated
from datacanal.storage.places import EMBEDDED

_LOOK_S = 0.1
_LOADED_WITHIN_S = 2.0
_SAY_AGAIN_S = 15.0
_log = structlog.get_logger()


class Views:
    """`view` is the newest one; a thread replaces it until `close`. Opens when the store is there and migrated.

    While the database is away the last view stays; `looked_at` tells since when.
    """

    def __init__(self, home: Path, database: str = EMBEDDED) -> None:
        self.database = database
        self._closing = threading.Event()
        self._engine = open_to_read(database, home, PLACE)
        self._thread = threading.Thread(target=self._watch, name="views", daemon=True)
        self._loader = Loader(self._engine)
        self.view = View(-1, {}, {})
        self.looked_at = time.monotonic()
        self._shared = SharedLook(self._catch_up)

    def open(self) -> bool:
        """Wait for the store, read the first view and begin to watch; False if closed before."""
        said_at = -_SAY_AGAIN_S
        while not _is_there(self._engine):
            if time.monotonic() - said_at >= _SAY_AGAIN_S:
                said_at = time.monotonic()
                _log.warning("waiting_for_store", file=str(self._engine.url.database), why="not made or not migrated")
            if self._closing.wait(_LOOK_S):
                return False
        self.view = self._loader.load()
        self._thread.start()
        return True

    async def catch_up(self, before: int) -> bool:
        """Read what was written until now; whether there is a newer view than the one of that number.

        Asked before somebody is refused: a token that was made a moment ago is good.
        """
        await self._shared.join()
        return self.view.number != before

    def _catch_up(self) -> None:
        until = time.monotonic() + _LOADED_WITHIN_S
        try:
            newest = self._loader.number()
        except Exception:  # the watching thread says what is wrong with the store
            return
        while self.view.number < newest and time.monotonic() < until and not self._closing.wait(_LOOK_S / 10):
            pass

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._engine.dispose()

    def _watch(self) -> None:
        failing = False
        while not self._closing.wait(_LOOK_S):
            try:
                if self._loader.number() != self.view.number:
                    self.view = self._loader.load()
                self.looked_at = time.monotonic()
                failing = False
            except Exception as error:  # whatever it is, the next look may succeed, and requests go on meanwhile
                if not failing:
                    _log.error("view_not_read", **failure_fields(error))
                failing = True


def _is_there(engine: Engine) -> bool:
    try:
        return is_migrated(engine, MIGRATIONS)
    except (OperationalError, StoreUnavailable):
        return False
