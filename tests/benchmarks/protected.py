"""Aggregates over the orders of TPC-H, and the policy under which only large groups of them may be seen."""

from __future__ import annotations

GUARDED = "guarded"
"""The lake under the policy; it holds the same files as `transactions`."""

POLICY = """
default_class = "public"
[datasets.lineitem]
key = ["l_orderkey", "l_linenumber"]
entity = "l_suppkey"
[datasets.lineitem.columns]
l_suppkey = { class = "join_key" }
l_quantity = { class = "aggregate", min_group = 10, max_share = 0.8 }
l_extendedprice = { class = "aggregate", min_group = 10, max_share = 0.8 }
[datasets.orders]
key = ["o_orderkey"]
entity = "o_custkey"
[datasets.orders.columns]
o_custkey = { class = "join_key" }
o_totalprice = { class = "aggregate", min_group = 10, max_share = 0.8 }
"""

AGGREGATES = {
    "lineitem, 4 groups": (
        "SELECT l_returnflag, l_linestatus, sum(l_quantity) AS quantity, avg(l_extendedprice) AS price, "
        "count(*) AS items FROM {lake}.lineitem GROUP BY l_returnflag, l_linestatus"
    ),
    "lineitem, 28 groups": (
        "SELECT l_shipmode, l_shipinstruct, sum(l_extendedprice) AS price FROM {lake}.lineitem "
        "GROUP BY l_shipmode, l_shipinstruct"
    ),
    "lineitem, 2,526 groups": (
        "SELECT l_shipdate, sum(l_quantity) AS quantity FROM {lake}.lineitem GROUP BY l_shipdate"
    ),
    "orders, 5 groups": (
        "SELECT o_orderpriority, avg(o_totalprice) AS price, count(*) AS orders FROM {lake}.orders "
        "GROUP BY o_orderpriority"
    ),
    "orders of one year, 366 groups": (
        "SELECT o_orderdate, sum(o_totalprice) AS price FROM {lake}.orders "
        "WHERE o_orderdate >= DATE '1995-01-01' AND o_orderdate < DATE '1996-01-01' GROUP BY o_orderdate"
    ),
    "orders with their items, 5 groups": (
        "SELECT o_orderpriority, sum(l_quantity) AS quantity FROM {lake}.orders JOIN {lake}.lineitem "
        "ON o_orderkey = l_orderkey GROUP BY o_orderpriority"
    ),
}
"""Statements by name; `{lake}` is either lake."""
