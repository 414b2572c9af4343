"""The client: one object per service and caller."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload
from urllib.parse import quote

import httpx

from datacanal.client.accounts import Accounts, Keys, Subscriptions
from datacanal.client.address import no_token, resolve_ca, resolve_gateway, resolve_token, resolve_url
from datacanal.client.connection import Connection
from datacanal.client.job import Job
from datacanal.client.money import Invoices, Tariffs, Usages
from datacanal.client.product import PageMemory, Product, version_parameters
from datacanal.client.products import ManagedProducts
from datacanal.client.python_job import PythonJob, PythonTerms, declared
from datacanal.client.requests import checked, python_request, statement_request
from datacanal.client.schedules import Schedules
from datacanal.client.sign_in import kept_token
from datacanal.client.webhooks import Webhooks
from datacanal.domain.errors import BadField
from datacanal.domain.product import check_product_name
from datacanal.protocol.public import (
    DatasetList,
    DatasetView,
    Explanation,
    Health,
    JobList,
    JobSummary,
    JobView,
    LakeList,
    LakeView,
    NewToken,
    Role,
    SiteList,
    SiteView,
    Timeouts,
    TokenList,
    TokenRequest,
    TokenView,
)


class Client:
    """Talks to one Datacanal service.

    `gateway` is where data products are called; it defaults to DATACANAL_GATEWAY, then to http://127.0.0.1:8401.
    `url` and `token` default to DATACANAL_URL and DATACANAL_TOKEN, then to http://127.0.0.1:8400 and the
    `admin.token` of `$DATACANAL_HOME` or `./state`; at a gateway where somebody signed in (`datacanal login`), to that
    sign-in before the latter. For a product's data `token` may be an API key (`dck_…`). `ca` is a PEM file that
    vouches for an https service; it defaults to DATACANAL_CA, then to the `control.pem` (`gateway.pem`) beside that
    token, then to what the machine trusts.
    Every failure is a `DatacanalError` with a code and a remedy.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        gateway: str | None = None,
        ca: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        found = resolve_token(token, os.environ, Path.cwd())
        refusal = None if found else no_token(os.environ, Path.cwd())

        def connected(address: str, made: str, proof: str | None) -> Connection:
            vouching = resolve_ca(ca, os.environ, Path.cwd(), made) if address.startswith("https://") else None
            return Connection(
                address, proof, without_token=None if proof else refusal, ca=vouching, transport=transport
            )

        address = resolve_gateway(gateway, os.environ)
        is_named = bool(token or os.environ.get("DATACANAL_TOKEN"))
        kept = None if is_named else kept_token(address, os.environ, datetime.now(UTC))
        self._connection = connected(resolve_url(url, os.environ), "control.pem", found)
        self._gateway = connected(address, "gateway.pem", kept or found)
        self._pages = PageMemory()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()
        self._gateway.close()

    @property
    def url(self) -> str:
        return self._connection.url

    def sql(
        self,
        text: str,
        *,
        params: Mapping[str, Any] | None = None,
        timeouts: Timeouts | Mapping[str, float] | None = None,
        purpose: str | None = None,
    ) -> Job:
        """Submit a statement; comes back at once. `params` bind its `$names` and are never spliced into it."""
        request = statement_request(text, params, timeouts, purpose)
        return Job(self._connection, self._connection.submit(JobView, "/v1/jobs", request))

    def explain(self, what: str | PythonJob, *, params: Mapping[str, Any] | None = None) -> Explanation:
        """The plan of a statement, or of a declared function, with its estimates; nothing runs."""
        request = (
            statement_request(what, params, None, None) if isinstance(what, str) else python_request(what, params or {})
        )
        return self._connection.post(Explanation, "/v1/jobs/explain", request)

    @overload
    def job(self, job_id: str) -> Job: ...

    @overload
    def job(
        self,
        *,
        site: str,
        columns: Mapping[str, str],
        datasets: Sequence[str] = (),
        inputs: Mapping[str, str] | None = None,
        workers: int = 1,
        memory: str = "1GiB",
        image: str | None = None,
        timeouts: Timeouts | Mapping[str, float] | None = None,
        purpose: str | None = None,
    ) -> Callable[[Callable[..., Any]], PythonJob]: ...

    def job(
        self,
        job_id: str | None = None,
        *,
        site: str | None = None,
        columns: Mapping[str, str] | None = None,
        datasets: Sequence[str] = (),
        inputs: Mapping[str, str] | None = None,
        workers: int = 1,
        memory: str = "1GiB",
        image: str | None = None,
        timeouts: Timeouts | Mapping[str, float] | None = None,
        purpose: str | None = None,
    ) -> Job | Callable[[Callable[..., Any]], PythonJob]:
        """A job by its id; or, with `site=` and `columns=`, a decorator that declares a function to run at that site.

        The function is `def f(ctx, …)`; its further parameters are typed by annotations. `columns` are names and
        DuckDB types of the table that it returns, `datasets` (`lake.dataset`) those of the site that it reads, `inputs`
        SQL over any sites by the name that the function knows its result by. `workers` of its own Dask cluster have
        `memory` each. `image` is the id (`sha256:…`) of one that the site's launcher allows; None: the site's own.
        """
        if job_id is not None:
            return Job(self._connection, self._connection.get(JobView, f"/v1/jobs/{quote(job_id, safe='')}"))
        if not isinstance(site, str) or columns is None:
            raise BadField(field="job", reason="the id of a job is needed, or site= and columns= of a function")
        listed = (datasets,) if isinstance(datasets, str) else tuple(datasets)
        return declared(PythonTerms(site, columns, listed, inputs or {}, workers, memory, image, timeouts, purpose))

    def submit(self, function: PythonJob, /, **params: Any) -> Job:
        """Send a declared function to its site; comes back at once. Parameters are checked before anything is sent."""
        request = python_request(function, params)
        return Job(self._connection, self._connection.submit(JobView, "/v1/jobs", request))

    @property
    def schedules(self) -> Schedules:
        """Jobs that are submitted by themselves."""
        return Schedules(self._connection)

    def product(
        self,
        name: str,
        *,
        as_of: datetime | str | None = None,
        snapshot: str | None = None,
        channel: str | None = None,
    ) -> Product:
        """A data product, `publisher.product`: its stable version, that of an instant, of a snapshot, or `canary`."""
        return Product(
            self._gateway, self._pages, check_product_name(name), version_parameters(as_of, snapshot, channel)
        )

    def jobs(self, limit: int = 50) -> list[JobSummary]:
        """The caller's newest jobs, newest first."""
        found: list[JobSummary] = []
        after: str | None = None
        while len(found) < limit:
            query = {"limit": str(min(limit - len(found), 200)), **({"after": after} if after else {})}
            page = self._connection.get(JobList, "/v1/jobs", query)
            found.extend(page.jobs)
            after = page.next
            if after is None:
                break
        return found[:limit]

    @property
    def products(self) -> ManagedProducts:
        """Products that the caller publishes."""
        return ManagedProducts(self._connection)

    @property
    def webhooks(self) -> Webhooks:
        """Where accounts are told of their quotas."""
        return Webhooks(self._gateway)

    @property
    def tariffs(self) -> Tariffs:
        """What products are offered at."""
        return Tariffs(self._gateway)

    @property
    def usage(self) -> Usages:
        """What was used, and what it comes to."""
        return Usages(self._gateway)

    @property
    def invoices(self) -> Invoices:
        """Invoices and credit notes."""
        return Invoices(self._gateway)

    @property
    def accounts(self) -> Accounts:
        """Who pays for what is called at the gateway."""
        return Accounts(self._gateway)

    @property
    def subscriptions(self) -> Subscriptions:
        """Subscriptions to data products."""
        return Subscriptions(self._gateway)

    @property
    def keys(self) -> Keys:
        """API keys of subscriptions."""
        return Keys(self._gateway)

    def health(self) -> Health:
        """Whether the service is ready, and which sites are connected."""
        return self._connection.get(Health, "/v1/health")

    def sites(self) -> list[SiteView]:
        return self._connection.get(SiteList, "/v1/sites").sites

    def lakes(self) -> list[LakeView]:
        return self._connection.get(LakeList, "/v1/lakes").lakes

    def datasets(self) -> list[DatasetView]:
        return self._connection.get(DatasetList, "/v1/datasets").datasets

    def dataset(self, name: str) -> DatasetView:
        """One dataset, written `lake.dataset`, with its columns."""
        return self._connection.get(DatasetView, f"/v1/datasets/{quote(name, safe='')}")

    def refresh_lake(self, name: str) -> None:
        """Have the lake's site list its files again; comes back when the catalogue shows them."""
        self._connection.call("POST", f"/v1/lakes/{quote(name, safe='')}/refresh")

    def create_token(
        self, name: str, role: Role, *, groups: Sequence[str] = (), expires: datetime | None = None
    ) -> NewToken:
        """A new token; its secret is in the answer and nowhere else."""
        request = checked(TokenRequest, name=name, role=role, groups=list(groups), expires=expires)
        return self._connection.post(NewToken, "/v1/tokens", request, repeatable=False)

    def tokens(self) -> list[TokenView]:
        return self._connection.get(TokenList, "/v1/tokens").tokens

    def revoke_token(self, token_id: str) -> None:
        """From now on nobody can use it."""
        self._connection.call("DELETE", f"/v1/tokens/{quote(token_id, safe='')}")
