"""What a contract cannot promise is told when it is written."""

from datetime import date

import pytest

from datacanal.domain.errors import BadField
from datacanal.products.contracts import check_contract
from datacanal.protocol.products import Contract

TODAY = date(2026, 11, 23)
GOOD = {"key": ["k"], "session": "day", "calendar": "XSHG", "columns": {"k": "int", "day": "date", "代码": "text[]"}}
BAD = {
    "a key twice": ({"key": ["k", "k"]}, "contract.key: 'k' is named more than once"),
    "not_null twice": ({"not_null": ["k", "k"]}, "contract.not_null: 'k' is named more than once"),
    "no such calendar": (
        {"calendar": "XXXX"},
        "contract.calendar: there is no calendar 'XXXX'; take an exchange's code, as XSHG, XSHE, XHKG, XNYS or XLON",
    ),
    "a calendar of nothing": (
        {"session": None},
        "contract.calendar: needs `session`, the column of dates; name one or leave calendar out",
    ),
    "freshness of nothing": (
        {"session": None, "calendar": None, "freshness": {"at_most": 1}},
        "contract.freshness: needs `session`, the column of dates; name one or leave freshness out",
    ),
    "no such type": (
        {"columns": {"k": "INTEGERS", "day": "DATE"}},
        "contract.columns.k: 'INTEGERS' is no type; take one of DuckDB's, as VARCHAR, DATE, BIGINT, DOUBLE or"
        " DECIMAL(18,4)",
    ),
    "a type that is no type's text": (
        {"columns": {"k": "INTEGER; DROP TABLE x", "day": "DATE"}},
        "contract.columns.k: 'INTEGER; DROP TABLE x' is no type; take one of DuckDB's, as VARCHAR, DATE, BIGINT, DOUBLE"
        " or DECIMAL(18,4)",
    ),
    "a type too deep": (
        {"columns": {"k": "INTEGER" + "[]" * 33, "day": "DATE"}},
        "contract.columns.k: the type's text is too long or too deeply nested",
    ),
    "a key that is no column": ({"key": ["x"]}, "contract.key: 'x' is not among the contract's columns"),
    "a session that is no column": ({"session": "x"}, "contract.session: 'x' is not among the contract's columns"),
    "never null but no column": ({"not_null": ["x"]}, "contract.not_null: 'x' is not among the contract's columns"),
}


def test_types_are_kept_as_duckdb_prints_them() -> None:
    found = check_contract(Contract.model_validate(GOOD), TODAY)
    assert found.columns == {"k": "INTEGER", "day": "DATE", "代码": "VARCHAR[]"}


def test_a_contract_without_columns_stays_as_it_is() -> None:
    contract = Contract(key=["k"], not_null=["v"])
    assert check_contract(contract, TODAY) == contract


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_kept_is_refused_by_name(name: str) -> None:
    change, detail = BAD[name]
    with pytest.raises(BadField) as caught:
        check_contract(Contract.model_validate({**GOOD, **change}), TODAY)
    assert caught.value.detail == detail
