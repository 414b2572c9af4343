"""The account routes as one application, which the gateway hands what is not data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

import datacanal
from datacanal.gateway.account.accounts import account_routes
from datacanal.gateway.account.guard import caller_guard
from datacanal.gateway.account.invoices import invoice_routes
from datacanal.gateway.account.keys import key_routes
from datacanal.gateway.account.oauth import oauth_routes
from datacanal.gateway.account.services import Services
from datacanal.gateway.account.sign_in import sign_in_routes
from datacanal.gateway.account.subscriptions import subscription_routes
from datacanal.gateway.account.tariffs import tariff_routes
from datacanal.gateway.account.usage import usage_routes
from datacanal.gateway.account.webhooks import webhook_routes
from datacanal.protocol.accounts import (
    AccountRequest,
    AccountUpdate,
    Approval,
    Exchange,
    KeyRequest,
    Refusal,
    Rotation,
    SubscriptionRequest,
)
from datacanal.protocol.money import CloseRequest, CreditRequest, Tariff
from datacanal.protocol.webhooks import WebhookRequest
from datacanal.serving.documents import document
from datacanal.serving.handlers import install_problem_handlers

_BODIES: tuple[type[BaseModel], ...] = (
    AccountRequest,
    AccountUpdate,
    SubscriptionRequest,
    Approval,
    Refusal,
    KeyRequest,
    Rotation,
    WebhookRequest,
    Tariff,
    CloseRequest,
    CreditRequest,
    Exchange,
)
"""What the routes read by `read_document`."""


class AccountApi(FastAPI):
    """FastAPI whose document tells what is really answered."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self, _BODIES)
        return self.openapi_schema


def account_app(services: Services) -> AccountApi:
    """Accounts, subscriptions, keys, usage, receipts, invoices."""
    app = AccountApi(
        title="Datacanal: accounts",
        version=datacanal.__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install_problem_handlers(app)
    for router in _routers(services):
        app.include_router(router)
    return app


def _routers(services: Services) -> Sequence[APIRouter]:
    caller = caller_guard(services)
    return (
        account_routes(services, caller),
        subscription_routes(services, caller),
        key_routes(services, caller),
        oauth_routes(services),
        webhook_routes(services, caller),
        tariff_routes(services, caller),
        usage_routes(services, caller),
        invoice_routes(services, caller),
        sign_in_routes(services),
    )
