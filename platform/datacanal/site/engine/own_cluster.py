"""The Dask cluster of a Python job, as its driver holds it."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from distributed import Client, Security

from datacanal.site.engine.cluster import security_arguments
from datacanal.site.engine.job_cluster import JobSettings

_CONNECTS_WITHIN_S = 30
_WORKERS_WITHIN_S = 120


class OwnCluster:
    """Connects as soon as it is made, beside whatever the function does first."""

    def __init__(self, scheduler: str, workers: int, settings: JobSettings) -> None:
        self._workers = workers
        self._connected: Future[Client] = Future()
        self._has_workers = False
        if workers:
            threading.Thread(target=self._connect, args=(scheduler, settings), name="connect", daemon=True).start()

    def client(self) -> Client:
        """The client, once all workers have joined. Raises `RuntimeError` where the job asked for none."""
        if not self._workers:
            raise RuntimeError("This job has no Dask cluster: declare it with workers=1 or more.")
        client = self._connected.result()
        if not self._has_workers:
            client.wait_for_workers(self._workers, timeout=_WORKERS_WITHIN_S)
            self._has_workers = True
        return client

    def client_if_any(self) -> Client | None:
        """The same, None where the job asked for no workers."""
        return self.client() if self._workers else None

    def _connect(self, scheduler: str, settings: JobSettings) -> None:
        try:
            security = Security(**security_arguments(settings.tls))  # type: ignore[no-untyped-call]  # its own
            client = Client(scheduler, security=security, timeout=_CONNECTS_WITHIN_S)  # type: ignore[no-untyped-call]
            self._connected.set_result(client)
        except BaseException as error:  # whoever asks for the client raises it
            self._connected.set_exception(error)
