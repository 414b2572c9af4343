"""A result of 5 GB passes a control plane that may use 512 MB."""

import pytest
from tests.e2e.big_results import MIB, fetched
from tests.e2e.service import Service

ROWS = 10_500_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_five_gigabytes_pass_a_control_plane_of_half_a_gigabyte(service: Service) -> None:
    received, growth = fetched(service, ROWS)
    assert received > 5_000 * MIB
    assert growth < 200 * MIB
