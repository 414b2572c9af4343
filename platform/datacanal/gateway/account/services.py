"""What the account routes work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datacanal.gateway.access_tokens import AccessTokens
from datacanal.gateway.bearers import Bearers
from datacanal.gateway.sign_in.flow import SignIn
from datacanal.gateway.view import View
from datacanal.ledger.margins import Rates
from datacanal.ledger.store import LedgerStore


@dataclass(frozen=True)
class Services:
    """`views` gives the newest view; `home` holds the keys that the book does not.

    `catch_up` reads what was written until now, so that nobody is refused for what was only not read yet. `sign_in` is
    None where people do not sign in at this gateway. `rates` are what jobs cost.
    """

    store: LedgerStore
    views: Callable[[], View]
    now: Callable[[], datetime]
    new_id: Callable[[str], str]
    home: Path
    bearers: Bearers
    tokens: AccessTokens
    catch_up: Callable[[], Awaitable[None]]
    sign_in: SignIn | None
    rates: Rates
