"""The section `[gateway.costs]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from datacanal.protocol.money import Currency, Price


class CostsSection(BaseModel):
    """What jobs cost the service, for a product's margin: prices as text, of `currency`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Currency = "CNY"
    gib_scanned: Price = "0"
    gib_crossed: Price = "0"
    worker_hour: Price = "0"
