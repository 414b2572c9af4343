"""The exchange: the HTTP application where other sites fetch what this site's gate released to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from datacanal.domain.errors import OutputLost, PeerUnknown, TransferRefused
from datacanal.serving.handlers import install_problem_handlers
from datacanal.serving.protocol import peer_of
from datacanal.site.peers import Peers
from datacanal.site.record.entry import Entry
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import IsNew, Proof, Ticket, check_fetch, refused_fetch, served_fetch

_log = structlog.get_logger()


class _Stream(FileResponse):
    chunk_size = 2**20


@dataclass(frozen=True)
class Handout:
    """Which output may go to whom, on the direct road as on the relay's. Every answer is recorded; all of it blocks."""

    site: str
    seal: bytes
    peers: Peers
    find_output: Callable[[str], OutputRow | None]
    clock_s: Callable[[], float]
    is_new: IsNew
    record: Callable[[Entry], object]

    def output_for(self, caller: str | None, output: str, part: str, proof: Proof) -> OutputRow:
        """The output for a fetch that may go ahead; `caller` is the site that proved itself, where one could.

        Raises `TransferRefused`, `PeerUnknown` or `OutputLost`.
        """
        ticket = self._checked(caller, output, part, proof)
        row = self.find_output(output)
        if row is None or row.digest != ticket.digest or not Path(row.path).is_file():
            raise OutputLost(step=ticket.step, site=self.site)
        self.record(served_fetch(row, ticket, self.clock_s()))
        return row

    def _checked(self, caller: str | None, output: str, part: str, proof: Proof) -> Ticket:
        now_s = self.clock_s()
        try:
            ticket = check_fetch(output, part, proof, self.seal, self.is_new, now_s)
            if caller is not None and caller != ticket.consumer:
                raise TransferRefused(reason=f"the ticket is for site {ticket.consumer!r}, the caller is {caller!r}")
            if self.peers.key_of(ticket.consumer) != ticket.key:
                raise TransferRefused(reason=f"the ticket is for a key that site {ticket.consumer!r} had before")
        except (TransferRefused, PeerUnknown) as refusal:
            _log.warning("transfer_refused", output=output, reason=refusal.data["reason"])
            self.record(refused_fetch(output, proof, self.seal, refusal, now_s))
            raise
        return ticket

    def caller(self, fingerprint: str | None) -> str:
        """The pinned site that showed this certificate. Raises `TransferRefused` where the pin is gone."""
        site = self.peers.site_of(fingerprint or "")
        if site is None:
            raise TransferRefused(reason="the caller's certificate is not that of a site that is pinned here")
        return site


def create_exchange(handout: Handout) -> FastAPI:
    """`GET /v1/transfers/{output}` for a ticket that its consumer holds and signs; resumes by Range."""
    app = FastAPI(title="Datacanal exchange", docs_url=None, redoc_url=None, openapi_url=None)
    install_problem_handlers(app)

    @app.get("/v1/transfers/{output}")
    async def transfer(output: str, request: Request) -> Response:
        def find() -> OutputRow:
            caller = handout.caller(peer_of(request.scope))
            return handout.output_for(caller, output, request.headers.get("range", ""), _proof_of(request))

        row = await run_in_threadpool(find)
        return _Stream(row.path, media_type="application/vnd.apache.arrow.stream")

    return app


def _proof_of(request: Request) -> Proof:
    def header(name: str) -> str:
        return request.headers.get(f"datacanal-{name}", "")

    return Proof(header("ticket"), header("time"), header("nonce"), header("signature"))
