"""`datacanal` whose gateways charge nobody: what metering costs is measured beside it. Of the benchmark alone."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from datacanal.cli.main import main
from datacanal.gateway import assembly
from datacanal.ledger.charges import Charge, Charged

_NOW = datetime.now(UTC)


class NoMeter:
    """Says of every call at once that it was charged."""

    def __init__(self, *_: Any) -> None: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def charge(self, charge: Charge) -> Charged:
        return Charged(charge.receipt, _NOW, charge.amounts, 0, ())


if __name__ == "__main__":
    assembly.Meter = NoMeter  # type: ignore[assignment, misc]  # as the module says
    sys.exit(main())
