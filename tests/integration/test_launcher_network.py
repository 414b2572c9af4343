"""What a container of the launcher reaches: the members of its pool by name, and nothing and nobody else."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import docker
import psutil
import pytest
from tests.image_names import WORKER
from tests.integration.launching.estate import Estate
from tests.integration.launching.inmate import COMMAND, Inmate
from tests.integration.launching.programs import LISTEN, REACH, RESOLVE, SEND
from tests.integration.launching.site import Site

pytestmark = pytest.mark.docker

PORT = 8786
LONG_S = 1.0
NO_ADDRESS = socket.EAI_NODATA  # an answer, where silence would be EAI_AGAIN
MEMBERS = ("worker-1", "worker-2")


@pytest.fixture(scope="module")
def served(docker_client: docker.DockerClient) -> Iterator[Estate]:
    """Two members of the pool p1 of `core`, one of its pool p2, and one of a pool of `crm`; each listens."""
    with Estate(docker_client) as estate:
        estate.launch()
        estate.core.boots("p1", "p2")
        estate.crm.boots("p1")
        wanted = [(estate.core, "worker-1", "p1"), (estate.core, "worker-2", "p1")]
        wanted += [(estate.core, "worker-3", "p2"), (estate.crm, "worker-4", "p1")]
        with ThreadPoolExecutor(4) as threads:
            inmates = list(threads.map(lambda each: each[0].put(each[1], pool=each[2]), wanted))
        for inmate in inmates:
            inmate.do(LISTEN.format(port=PORT))
        yield estate


@pytest.fixture(scope="module")
def member(served: Estate) -> Inmate:
    """The first of the pool p1."""
    return next(inmate for inmate in served.core.inmates if inmate.name == "worker-1")


@pytest.fixture(scope="module")
def listening() -> Iterator[socket.socket]:
    """A service of this machine, at all of its addresses."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104  # that is the point
        yield server


@pytest.fixture
def datagrams() -> Iterator[socket.socket]:
    """The same, for packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 0))  # noqa: S104  # as above
        server.settimeout(LONG_S)
        yield server


@pytest.fixture
def bare(docker_client: docker.DockerClient, served: Estate) -> Iterator[tuple[Inmate, str]]:
    """A container in a network that is `internal` and nothing more, and the gateway of that network."""
    name = f"datacanal-test-{uuid.uuid4().hex[:12]}"
    network = docker_client.networks.create(name, internal=True)
    site = served.core
    inmate = site.listen(site.specification("bare"))
    channel = {str(site.ground.home.path / "channels" / "bare"): {"bind": "/run/datacanal", "mode": "ro"}}
    container = docker_client.containers.run(
        WORKER, [], entrypoint=list(COMMAND), name=name, network=name, volumes=channel, detach=True, cap_drop=["ALL"]
    )
    network.reload()
    yield inmate, gateway_of(network)
    container.remove(force=True)
    network.remove()


def own_addresses() -> list[str]:
    """All that this machine has, but loopback."""
    found = [each.address for interface in psutil.net_if_addrs().values() for each in interface]
    return [address for address in found if address.count(".") == 3 and not address.startswith("127.")]


def address_of(served: Estate, site: Site, name: str) -> str:
    (network,) = served.inspected(site, name)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def gateway_of(network: Any) -> str:
    """What the host would be called in it."""
    (config,) = network.attrs["IPAM"]["Config"]
    return str(config.get("Gateway") or IPv4Network(config["Subnet"])[1])


def reached(inmate: Inmate, *places: tuple[str, int]) -> list[list[Any]]:
    """To which of these it can open a connection, by the table of routes or by its device."""
    return list(inmate.find(REACH.format(places=places, timeout_s=LONG_S)))


def arrived(server: socket.socket, inmate: Inmate, *addresses: str) -> list[bytes]:
    """What of the packets that it sends there the server hears."""
    inmate.do(SEND.format(places=[(address, server.getsockname()[1]) for address in addresses]))
    heard = []
    with suppress(TimeoutError):
        while True:
            heard.append(server.recv(64))
    return heard


def resolved(inmate: Inmate, *names: str) -> dict[str, str]:
    return dict(inmate.find(RESOLVE.format(names=names)))


# ---------------------------------------------------------------- within the pool


def test_members_of_a_pool_reach_one_another_by_name(served: Estate, member: Inmate) -> None:
    addresses = {name: address_of(served, served.core, name) for name in MEMBERS}
    assert resolved(member, *MEMBERS) == addresses
    assert ["worker-2", PORT, "routed"] in reached(member, ("worker-2", PORT))


def test_pools_have_small_networks_of_the_configured_range(served: Estate) -> None:
    networks = served.networks(served.core, served.crm)
    subnets = [IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"]) for network in networks]
    assert len(set(subnets)) == 3
    assert all(subnet.subnet_of(served.settings.subnets) and subnet.prefixlen == 27 for subnet in subnets)


# ---------------------------------------------------------------- beyond it


def test_another_pool_of_the_site_is_not_reached(served: Estate, member: Inmate) -> None:
    assert reached(member, (address_of(served, served.core, "worker-3"), PORT)) == []


def test_another_sites_pool_is_not_reached(served: Estate, member: Inmate) -> None:
    assert reached(member, (address_of(served, served.crm, "worker-4"), PORT)) == []


def test_the_host_is_reached_at_none_of_its_addresses(member: Inmate, listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    assert reached(member, *[(address, port) for address in own_addresses()]) == []


def test_the_host_has_no_address_in_the_pools_network(served: Estate, member: Inmate, listening: socket.socket) -> None:
    gateways = [gateway_of(network) for network in served.networks(served.core, served.crm)]
    assert set(gateways) & set(own_addresses()) == set()
    assert reached(member, *[(gateway, listening.getsockname()[1]) for gateway in gateways]) == []


def test_a_network_that_is_only_internal_does_reach_the_host(
    bare: tuple[Inmate, str], listening: socket.socket
) -> None:
    """So that the tests before this one could fail: the bridge's address is what makes the difference."""
    inmate, gateway = bare
    assert gateway in own_addresses()
    assert [gateway, listening.getsockname()[1], "routed"] in reached(inmate, (gateway, listening.getsockname()[1]))


def test_no_packet_to_the_host_or_to_everybody_arrives(
    served: Estate, member: Inmate, datagrams: socket.socket
) -> None:
    """Whether it goes by the routes or over the container's device, past them."""
    subnets = [IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"]) for network in served.networks(served.core)]
    everybody = ["255.255.255.255", "224.0.0.1", *(str(subnet.broadcast_address) for subnet in subnets)]
    assert arrived(datagrams, member, *own_addresses(), *everybody) == []


def test_from_a_network_that_is_only_internal_packets_do_arrive(
    bare: tuple[Inmate, str], datagrams: socket.socket
) -> None:
    assert arrived(datagrams, bare[0], "255.255.255.255") != []


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "169.254.169.254"])
def test_neither_the_internet_nor_a_clouds_metadata_is_reached(member: Inmate, address: str) -> None:
    assert reached(member, (address, 53), (address, 80), (address, 443)) == []


def test_there_is_no_way_by_the_other_protocol(member: Inmate) -> None:
    program = "print([line for line in open('/proc/net/if_inet6') if not line.split()[5] == 'lo'])"
    assert member.do(program).strip() == "[]"
    assert reached(member, ("ff02::1", PORT), ("fe80::1", PORT), ("2606:4700:4700::1111", 443)) == []


def test_nobody_is_at_the_end_of_its_default_route(served: Estate, member: Inmate) -> None:
    table = member.do("print(open('/proc/net/route').read())").splitlines()[1:]
    gateways = {line.split()[2] for line in table if line} - {"00000000"}
    (network,) = [each for each in served.networks(served.core) if each.attrs["Labels"]["datacanal.pool"] == "p1"]
    assert gateways <= {IPv4Address(gateway_of(network)).packed[::-1].hex().upper()}
    assert reached(member, (gateway_of(network), PORT)) == []


def test_no_name_is_known_but_those_of_the_pool(served: Estate, member: Inmate) -> None:
    strangers = ("worker-3", "worker-4", "worker-9", "example.com", "host.docker.internal")
    assert resolved(member, *strangers) == {}


def test_a_name_that_no_member_has_is_known_to_be_missing_at_once(member: Inmate) -> None:
    """Dask looks for members that are not there yet; ten seconds of silence would be a pool's whole start."""
    program = "import json, socket\ntry: socket.getaddrinfo('worker-9', 1)\nexcept OSError as error: print(error.errno)"
    assert member.find(program) == NO_ADDRESS
