"""The OpenAPI document of a product is right: a client that another language generates from it works with its types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.gateways import GatewayProcess
from tests.e2e.second_language import GeneratedClient, lack_here
from tests.products import ProductHome

PRODUCT = "market.daily"
ROWS = """SELECT * FROM (VALUES
    ('000001.XSHE', DATE '2024-01-02', '平安银行', 9.21::DECIMAL(18, 2), 115836645::BIGINT),
    ('000001.XSHE', DATE '2024-01-03', '平安银行', 9.20, 73361000),
    ('000001.XSHE', DATE '2024-01-04', '平安银行', 9.11, 9007199254740993),
    ('000002.XSHE', DATE '2024-01-03', '万科A', 10.33, 1),
    ('600000.XSHG', DATE '2024-01-03', NULL, 6.60, 2),
    ('600000.XSHG', DATE '2024-01-05', '浦发银行', 6.65, NULL)) AS bars(sec_id, trade_date, name, close, volume)"""

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", autouse=True)
def node_is_here() -> None:
    if reason := lack_here():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def token_and_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ProductHome]:
    home = ProductHome(tmp_path_factory.mktemp("shop"))
    home.stable(PRODUCT, ROWS)
    return home.token("mei"), home


@pytest.fixture(scope="module")
def gateway(token_and_home: tuple[str, ProductHome]) -> Iterator[GatewayProcess]:
    _, home = token_and_home
    with GatewayProcess(home.home, home.store) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def token(token_and_home: tuple[str, ProductHome]) -> str:
    return token_and_home[0]


@pytest.fixture
def client(tmp_path: Path) -> GeneratedClient:
    return GeneratedClient(tmp_path)


def document_of(gateway: GatewayProcess, token: str) -> dict[str, Any]:
    address = f"{gateway.url}/v1/products/{PRODUCT}/openapi.json"
    answer = httpx.get(address, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_generated_client_calls_with_filters_columns_and_token(
    gateway: GatewayProcess, token: str, client: GeneratedClient
) -> None:
    client.generate(document_of(gateway, token))
    client.compile()
    said = client.call(gateway.url, token)
    assert said["rows"] == [
        {"sec_id": "600000.XSHG", "trade_date": "2024-01-05", "name": "浦发银行", "close": "6.65", "volume": None},
        {"sec_id": "000001.XSHE", "trade_date": "2024-01-04", "name": "平安银行", "close": "9.11",
         "volume": "9007199254740993"},
        {"sec_id": "000001.XSHE", "trade_date": "2024-01-03", "name": "平安银行", "close": "9.20", "volume": 73361000},
    ]  # fmt: skip
    assert said["types"] == ["string"] * 3 + ["object", "string", "number"]
    assert "cursor=" in said["next"]
    assert said["snapshot"].startswith("snp_")
    assert said["refused"] == {"status": 400, "code": "invalid_parameters"}


def test_the_compiler_notices_a_document_that_says_otherwise(
    gateway: GatewayProcess, token: str, client: GeneratedClient
) -> None:
    document = document_of(gateway, token)
    data = document["paths"][f"/v1/products/{PRODUCT}/data"]["get"]
    columns = data["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"]["items"]
    columns["properties"]["close"] = {"type": "number"}
    client.generate(document)
    with pytest.raises(RuntimeError, match=r"main\.ts.*number"):
        client.compile()
