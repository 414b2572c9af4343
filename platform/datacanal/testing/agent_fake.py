"""An agent that speaks the site protocol and does what a test tells it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import httpx

from datacanal.control.products.lineage import inputs_of
from datacanal.domain.errors import DatacanalError
from datacanal.protocol.base import Document
from datacanal.protocol.catalogue import DatasetReport, LakeReport
from datacanal.protocol.plan import PLAN_FORMAT
from datacanal.protocol.problem import Problem, error_of, problem_of
from datacanal.protocol.products import Consent
from datacanal.protocol.site import (
    SITE_PROTOCOL,
    CatalogueReport,
    ConsentAnswer,
    ConsentCommand,
    Done,
    EgressNote,
    Failed,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Lease,
    LogCommand,
    Offer,
    Poll,
    PollReply,
    Progress,
    Received,
    RefreshCommand,
    Start,
    UploadCommand,
    Welcome,
)
from datacanal.protocol.words import SiteWords
from datacanal.site.identity import SiteIdentity
from datacanal.testing.compiler_fake import COLUMN

M = TypeVar("M", bound=Document)
RESULT = b"the result of the scripted agent\n"


class ScriptedAgent:
    """One agent of a site over any HTTP client whose base URL is the sites' door and that shows its certificate.

    Every method is one call of the protocol and raises the problem that it got as an error.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        identity: SiteIdentity,
        *,
        instance: str = "agent",
        boot: str = "boot1",
        datasets: list[DatasetReport] | None = None,
    ) -> None:
        self._http = http
        self.site = identity.site
        self.public_key = identity.keys.public
        self.instance = instance
        self.boot = boot
        self.datasets = datasets or []
        self.session = ""
        self.dropped: list[str] = []

    async def hello(self) -> Welcome:
        """Begin a session and report the datasets."""
        lakes = sorted({report.lake for report in self.datasets} | {f"lake_{self.site}"})
        hello = Hello(
            site=self.site,
            instance=self.instance,
            boot=self.boot,
            protocol=SITE_PROTOCOL,
            plan_formats=[PLAN_FORMAT],
            kernel="v2.0.0",
            functions="f" * 64,
            exchange=f"https://127.0.0.1:1/{self.site}",
            public_key=self.public_key,
            slots=2,
            lakes=[LakeReport(name=lake, policy_digest="p" * 64) for lake in lakes],
        )
        welcome = await self._ask("hello", hello, Welcome)
        self.session = welcome.session
        await self.report()
        return welcome

    async def report(self) -> None:
        await self._post("catalogue", CatalogueReport(session=self.session, datasets=self.datasets))

    async def poll(self, *, free: int = 1, wait_s: float = 20) -> PollReply:
        return await self._ask("poll", Poll(session=self.session, free=free, wait_s=wait_s), PollReply)

    async def lease(self) -> Lease:
        """The next lease."""
        reply = await self.poll()
        while not reply.leases:
            reply = await self.poll()
        return reply.leases[0]

    async def heartbeat(self, *leases: Lease, fraction: float = 0.0) -> HeartbeatReply:
        steps = [Progress(job=item.job, step=item.step, fence=item.fence, fraction=fraction) for item in leases]
        return await self._ask("heartbeat", Heartbeat(session=self.session, steps=steps), HeartbeatReply)

    async def start(self, lease: Lease) -> None:
        await self._post(f"{_path(lease)}/start", Start(session=self.session, fence=lease.fence))

    async def finish(
        self, lease: Lease, *, rows: int = 1, withheld_groups: int = 0, egress: Sequence[EgressNote] = ()
    ) -> None:
        """The step succeeded: its inputs arrived, its output waits for its consumers."""
        offers = [
            Offer(
                output=f"out_{lease.job}_{lease.step}",
                step=lease.step,
                site=self.site,
                url=f"https://127.0.0.1:1/{self.site}",
                ticket=f"ticket-for-{consumer.public_key}",
                rows=rows,
                bytes=100,
                digest="d" * 64,
                columns=[COLUMN],
            )
            for consumer in lease.consumers
        ]
        done = Done(
            output=f"out_{lease.job}_{lease.step}",
            rows=rows,
            bytes=100,
            digest="d" * 64,
            columns=[COLUMN],
            offers=offers,
            scanned_bytes=1000,
            elapsed_ms=5,
            received=[Received(step=offer.step, rows=offer.rows, bytes=offer.bytes) for offer in lease.inputs],
            withheld_groups=withheld_groups,
            egress=list(egress),
        )
        await self._finish(lease, done)

    async def fail(self, lease: Lease, error: DatacanalError, egress: Sequence[EgressNote] = ()) -> None:
        """The step failed."""
        await self._finish(lease, Failed(problem=problem_of(error), elapsed_ms=5, egress=list(egress)))

    async def run(self, lease: Lease) -> None:
        """Start and finish."""
        await self.start(lease)
        await self.finish(lease)

    async def work(self) -> None:
        """Do whatever is asked, until cancelled."""
        while True:
            reply = await self.poll(free=4)
            for lease in reply.leases:
                await self.run(lease)
            for command in reply.commands:
                await self.obey(command)

    async def obey(self, command: object) -> None:
        """Carry out a command; every export is `RESULT`, every consent is given."""
        match command:
            case UploadCommand():
                await self.upload(command, RESULT)
            case ConsentCommand():
                await self.consent(command, "granted")
            case RefreshCommand():
                await self.report()
            case _:
                self.dropped.append(getattr(command, "job", ""))

    async def consent(self, command: ConsentCommand, decision: str) -> None:
        """Answer for every dataset of the site in the same way."""
        consents = [
            Consent(site=self.site, lake=given.lake, dataset=given.dataset, decision=decision, reason="scripted")
            for given in inputs_of(command.plan)
            if given.site == self.site
        ]
        await self._post(f"consents/{command.consent}", ConsentAnswer(consents=consents))

    async def decline(self, command: ConsentCommand, error: DatacanalError) -> None:
        """Do not answer, and say why."""
        await self._post(f"consents/{command.consent}/refuse", problem_of(error))

    async def upload(self, command: UploadCommand, export: bytes) -> None:
        """Send an export from the offset that was asked for."""

        async def part() -> AsyncIterator[bytes]:
            yield export[command.offset :]
            await asyncio.sleep(0)

        await self.send(command, part(), length=len(export), digest=hashlib.sha256(export).hexdigest())

    async def say(self, command: LogCommand, words: SiteWords) -> None:
        """Send what attempts said."""
        content = words.model_dump_json().encode()

        async def whole() -> AsyncIterator[bytes]:
            yield content

        await self.send(command, whole(), length=len(content), digest=hashlib.sha256(content).hexdigest())

    async def send(
        self, command: UploadCommand | LogCommand, body: AsyncIterator[bytes], *, length: int, digest: str
    ) -> None:
        """Send a body, whatever it is."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Datacanal-Length": str(length),
            "Datacanal-Digest": digest,
        }
        _checked(await self._http.post(f"/v1/site/uploads/{command.upload}", content=body, headers=headers))

    async def refuse(self, command: UploadCommand | LogCommand, error: DatacanalError) -> None:
        await self._post(f"uploads/{command.upload}/refuse", problem_of(error))

    async def _finish(self, lease: Lease, outcome: Done | Failed) -> None:
        await self._post(f"{_path(lease)}/finish", Finish(session=self.session, fence=lease.fence, outcome=outcome))

    async def _ask(self, path: str, document: Document, model: type[M]) -> M:
        return model.model_validate_json(await self._post(path, document))

    async def _post(self, path: str, document: Document) -> bytes:
        headers = {"Content-Type": "application/json"}
        body = document.model_dump_json()
        return _checked(await self._http.post(f"/v1/site/{path}", content=body, headers=headers)).content


def _path(lease: Lease) -> str:
    return f"jobs/{lease.job}/steps/{lease.step}"


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise error_of(Problem.model_validate_json(response.content))
