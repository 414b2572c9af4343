"""The webhook of an account: `Client.webhooks`."""

from __future__ import annotations

from urllib.parse import quote

from datacanal.client.connection import Connection
from datacanal.protocol.webhooks import NoticeView, WebhookRequest, WebhookSecret, WebhookView


class Webhooks:
    """Every method is one call; it raises the service's problem as an error of the tree."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, account: str, url: str) -> WebhookSecret:
        """Send notices there from now on; the secret is in the answer and nowhere else."""
        answered = self._connection.call("PUT", _path(account), json=WebhookRequest(url=url).model_dump())
        return WebhookSecret.model_validate_json(answered.content)

    def show(self, account: str) -> WebhookView:
        """The address, and what became of the last notices."""
        return self._connection.get(WebhookView, _path(account))

    def remove(self, account: str) -> None:
        """Send nothing any more."""
        self._connection.call("DELETE", _path(account))

    def test(self, account: str) -> NoticeView:
        """Have a test sent; the notice, as it waits."""
        return self._connection.post(NoticeView, f"{_path(account)}/test", None, repeatable=False)


def _path(account: str) -> str:
    return f"/v1/accounts/{quote(account, safe='')}/webhook"
