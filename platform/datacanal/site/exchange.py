"""The exchange: the HTTP application where other sites fetch what this site's gate released to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from datacanal.domain.errors import OutputLost, TransferRefused
from datacanal.serving.handlers import install_problem_handlers
from datacanal.site.record.entry import Entry
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import IsNew, Proof, Ticket, check_fetch, refused_fetch

_log = structlog.get_logger()


class _Stream(FileResponse):
    chunk_size = 2**20


def create_exchange(
    site: str,
    seal: bytes,
    find_output: Callable[[str], OutputRow | None],
    clock_s: Callable[[], float],
    is_new: IsNew,
    record: Callable[[Entry], object],
) -> FastAPI:
    """`GET /v1/transfers/{output}` for a ticket sealed with `seal`, signed by its consumer; resumes by Range.

    Every refusal is recorded. All that is given may block.
    """
    app = FastAPI(title="Datacanal exchange", docs_url=None, redoc_url=None, openapi_url=None)
    install_problem_handlers(app)

    def checked(output: str, range_: str, proof: Proof) -> Ticket:
        now_s = clock_s()
        try:
            return check_fetch(output, range_, proof, seal, is_new, now_s)
        except TransferRefused as refusal:
            _log.warning("transfer_refused", output=output, reason=refusal.data["reason"])
            record(refused_fetch(output, proof, seal, refusal, now_s))
            raise

    @app.get("/v1/transfers/{output}")
    async def transfer(output: str, request: Request) -> Response:
        range_ = request.headers.get("range", "")
        ticket = await run_in_threadpool(checked, output, range_, _proof_of(request))
        row = await run_in_threadpool(find_output, output)
        if row is None or row.digest != ticket.digest or not await run_in_threadpool(Path(row.path).is_file):
            raise OutputLost(step=ticket.step, site=site)
        return _Stream(row.path, media_type="application/vnd.apache.arrow.stream")

    return app


def _proof_of(request: Request) -> Proof:
    def header(name: str) -> str:
        return request.headers.get(f"datacanal-{name}", "")

    return Proof(header("ticket"), header("time"), header("nonce"), header("signature"))
