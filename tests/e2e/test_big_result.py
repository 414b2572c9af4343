"""A result is relayed in bounded memory: the control plane does not grow with it. (5 GB: make soak.)"""

from tests.e2e.big_results import MIB, fetched
from tests.e2e.service import Service

ROWS = 450_000


def test_a_result_passes_the_control_plane_in_bounded_memory(service: Service) -> None:
    received, growth = fetched(service, ROWS)
    assert received > 200 * MIB
    assert growth < 100 * MIB
