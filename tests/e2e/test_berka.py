"""A real bank's eight files, imported into two lakes at two sites, answer questions as one DuckDB does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.outcomes import ServiceBench, sort_columns
from tests.e2e.planned import WITHOUT, PlannedBench, catalogue_of
from tests.e2e.service import datacanal
from tests.plugins.estate import Estate

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "berka"
ABSENT = "no bank data in ../shared/data/berka"
MISSING = ("--null", "?", "--null", "")

FILES = {
    "trans": ("transactions", "trans.asc", ("--type", "date=DATE", "--date-format", "%y%m%d")),
    "order": ("transactions", "order.asc", ()),
    "card": ("transactions", "card.asc", ("--type", "issued=TIMESTAMP", "--timestamp-format", "%y%m%d %H:%M:%S")),
    "loan": ("transactions", "loan.asc", ("--type", "date=DATE", "--date-format", "%y%m%d")),
    "client": ("users", "client.asc", ("--type", "birth_number=VARCHAR")),
    "disp": ("users", "disp.asc", ()),
    "account": ("users", "account.asc", ("--type", "date=DATE", "--date-format", "%y%m%d")),
    "district": ("users", "district.asc", MISSING),
}
"""Which file becomes which dataset of which lake, as the data's own README assigns them."""

ROWS = {
    "trans": 49_101,
    "order": 6_471,
    "card": 892,
    "loan": 682,
    "client": 5_369,
    "disp": 5_369,
    "account": 4_500,
    "district": 77,
}

BORN = (
    "make_date(1900 + birth_number[1:2]::INTEGER, (birth_number[3:4]::INTEGER - 1) % 50 + 1, "
    "birth_number[5:6]::INTEGER)"
)
SEX = "CASE WHEN birth_number[3:4]::INTEGER > 50 THEN 'F' ELSE 'M' END"

QUESTIONS = {
    "loans that went wrong, by region": """
        SELECT d.A3 AS region, count(*) AS loans, count(*) FILTER (WHERE l.status IN ('B', 'D')) AS bad,
               round(100.0 * bad / loans, 2) AS share
        FROM transactions.loan l JOIN users.account a USING (account_id)
        JOIN users.district d ON d.A1 = a.district_id GROUP BY region ORDER BY share DESC, region""",
    "borrowers' age when the loan was granted": f"""
        SELECT l.status, count(*) AS n, avg(date_diff('year', {BORN}, l.date)) AS age, min({BORN}) AS oldest
        FROM transactions.loan l JOIN users.disp p ON p.account_id = l.account_id AND p.type = 'OWNER'
        JOIN users.client c USING (client_id) GROUP BY l.status ORDER BY l.status""",
    "women and men by card": f"""
        SELECT k.type, {SEX} AS sex, count(*) AS cards, min(k.issued) AS first
        FROM transactions.card k JOIN users.disp p USING (disp_id) JOIN users.client c USING (client_id)
        GROUP BY ALL ORDER BY ALL""",
    "the largest payment of each region": """
        SELECT region, trans_id, amount FROM (
            SELECT d.A3 AS region, t.trans_id, t.amount,
                   row_number() OVER (PARTITION BY d.A3 ORDER BY t.amount DESC, t.trans_id) AS place
            FROM transactions.trans t JOIN users.account a USING (account_id)
            JOIN users.district d ON d.A1 = a.district_id) WHERE place <= 3 ORDER BY region, place""",
    "running balance of the ten most active accounts": """
        WITH busy AS (SELECT account_id, count(*) AS n FROM transactions.trans
                      GROUP BY account_id ORDER BY n DESC, account_id LIMIT 10)
        SELECT a.account_id, a.frequency, t.date, t.trans_id,
               sum(CASE t.type WHEN 'PRIJEM' THEN t.amount ELSE -t.amount END)
                   OVER (PARTITION BY a.account_id ORDER BY t.date, t.trans_id) AS running
        FROM busy JOIN users.account a USING (account_id) JOIN transactions.trans t USING (account_id)
        ORDER BY a.account_id, t.date, t.trans_id""",
    "accounts that pay more than their district's mean": """
        SELECT a.account_id, sum(o.amount) AS paid FROM users.account a JOIN transactions."order" o USING (account_id)
        GROUP BY a.account_id, a.district_id
        HAVING sum(o.amount) > 3 * (SELECT avg(o2.amount) FROM transactions."order" o2
                                    JOIN users.account a2 USING (account_id) WHERE a2.district_id = a.district_id)
        ORDER BY paid DESC, a.account_id LIMIT 40""",
    "clients without any movement": """
        SELECT count(*) AS silent FROM users.client c WHERE NOT EXISTS (
            SELECT 1 FROM users.disp p JOIN transactions.trans t USING (account_id) WHERE p.client_id = c.client_id)""",
    "districts with a loan but no gold card": """
        SELECT a.district_id FROM users.account a JOIN transactions.loan USING (account_id)
        EXCEPT
        SELECT a.district_id FROM users.account a JOIN users.disp p USING (account_id)
        JOIN transactions.card k USING (disp_id) WHERE k.type = 'gold' ORDER BY 1""",
    "loans by status and frequency, as a table": """
        PIVOT (SELECT l.status, a.frequency, l.amount FROM transactions.loan l JOIN users.account a USING (account_id))
        ON status IN ('A', 'B', 'C', 'D') USING count(*) AS n, sum(amount) AS total GROUP BY frequency
        ORDER BY frequency""",
    "totals over region and year": """
        SELECT d.A3 AS region, year(l.date) AS year, grouping(d.A3, year(l.date)) AS level, sum(l.amount) AS total
        FROM transactions.loan l JOIN users.account a USING (account_id) JOIN users.district d ON d.A1 = a.district_id
        GROUP BY ROLLUP (d.A3, year(l.date)) ORDER BY region, year, level""",
    "months since the account was opened": """
        SELECT date_diff('month', a.date, t.date) AS months, count(*) AS movements, sum(t.amount) AS turnover
        FROM users.account a JOIN transactions.trans t USING (account_id) GROUP BY months ORDER BY months""",
    "loans and the payments before them": """
        SELECT l.loan_id, l.amount, (SELECT max(t.balance) FROM transactions.trans t
            WHERE t.account_id = l.account_id AND t.date < l.date) AS best, a.frequency
        FROM transactions.loan l JOIN users.account a USING (account_id) WHERE l.date < DATE '1994-04-01'
        ORDER BY l.loan_id""",
    "cards issued in the year after the account": """
        SELECT year(a.date) AS opened, count(DISTINCT k.card_id) AS cards, count(DISTINCT a.account_id) AS accounts
        FROM users.account a LEFT JOIN users.disp p USING (account_id) LEFT JOIN transactions.card k
        ON k.disp_id = p.disp_id AND k.issued < a.date + INTERVAL 1 YEAR GROUP BY opened ORDER BY opened""",
    "owners who are also somebody's disponent": """
        SELECT DISTINCT c.client_id, c.district_id FROM users.client c JOIN users.disp p USING (client_id)
        SEMI JOIN transactions."order" o ON o.account_id = p.account_id AND o.k_symbol = 'SIPO'
        WHERE c.district_id IN (SELECT A1 FROM users.district WHERE A11 > 9500) ORDER BY c.client_id""",
    "banks that get money, with their customers' regions": """
        SELECT o.bank_to, list(DISTINCT d.A3 ORDER BY d.A3) AS regions, sum(o.amount) AS total
        FROM transactions."order" o JOIN users.account a USING (account_id) JOIN users.district d
        ON d.A1 = a.district_id GROUP BY o.bank_to ORDER BY total DESC, o.bank_to""",
    "unemployment against lending": """
        SELECT corr(d.A13, s.total) AS correlation, count(*) AS districts FROM users.district d JOIN (
            SELECT a.district_id, sum(l.amount)::DOUBLE AS total FROM transactions.loan l
            JOIN users.account a USING (account_id) GROUP BY 1) s ON s.district_id = d.A1""",
    "the quartiles of balances by sex": f"""
        SELECT {SEX} AS sex, quantile_cont(t.balance, [0.25, 0.5, 0.75]) AS quartiles, stddev_samp(t.balance) AS spread
        FROM transactions.trans t JOIN users.disp p ON p.account_id = t.account_id AND p.type = 'OWNER'
        JOIN users.client c USING (client_id) GROUP BY sex ORDER BY sex""",
    "everything that happened at one account": """
        SELECT 'movement' AS what, t.date, t.amount FROM transactions.trans t WHERE account_id = $account
        UNION ALL SELECT 'loan', l.date, l.amount FROM transactions.loan l WHERE account_id = $account
        UNION ALL SELECT 'opened', a.date, NULL FROM users.account a WHERE account_id = $account ORDER BY ALL""",
}
PARAMS = {"everything that happened at one account": {"account": 1787}}


@pytest.fixture(scope="module")
def bank(request: pytest.FixtureRequest) -> Estate:
    """The service over the imported files; the datasets are imported while it runs."""
    if not FOLDER.is_dir():
        pytest.skip(ABSENT)
    return imported(request.getfixturevalue("estate"))


def imported(estate: Estate) -> Estate:
    """With the bank's files in its lakes. Skips where there are none."""
    if not FOLDER.is_dir():
        pytest.skip(ABSENT)
    for name, (lake, file, options) in FILES.items():
        done = datacanal(
            *("dataset", "import", "--config", str(estate.configuration_of(lake)), "--lake", lake, "--name", name),
            *("--format", "csv", "--delimiter", ";", *options, str(FOLDER / file)),
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
    estate.settle()
    return estate


@pytest.fixture(scope="module")
def bench(bank: Estate) -> Iterator[ServiceBench]:
    with bank.client() as client:
        yield ServiceBench(client, bank.lakes)


@pytest.fixture(scope="module")
def planned(bank: Estate) -> Iterator[PlannedBench]:
    with bank.client() as client:
        planned = PlannedBench(catalogue_of(client), bank.lakes)
    yield planned
    planned.close()


@pytest.mark.berka
def test_the_files_are_imported_whole(bank: Estate) -> None:
    with bank.client() as client:
        found = {dataset.name: (dataset.lake, dataset.rows) for dataset in client.datasets() if dataset.name in ROWS}
    assert found == {name: (FILES[name][0], rows) for name, rows in ROWS.items()}


@pytest.mark.berka
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_over_both_lakes_gives_what_one_duckdb_gives(bench: ServiceBench, question: str) -> None:
    sql = QUESTIONS[question]
    assert bench.complaint(sql, PARAMS.get(question, {}), sort_columns(sql)) is None


@pytest.mark.berka
@pytest.mark.parametrize("rule", WITHOUT)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_the_same_answer_without_a_rule_of_the_planner(
    planned: PlannedBench, question: str, rule: str
) -> None:
    sql = QUESTIONS[question]
    assert planned.complaint(sql, PARAMS.get(question, {}), sort_columns(sql), WITHOUT[rule]) is None


@pytest.mark.berka
def test_every_question_moves_something_and_has_an_answer(bank: Estate) -> None:
    with bank.client() as client:
        for question, sql in QUESTIONS.items():
            stats = client.sql(sql, params=PARAMS.get(question, {})).stats
            assert stats.transfers, question
            assert stats.result_rows, question
