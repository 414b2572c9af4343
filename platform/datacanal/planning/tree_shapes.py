"""What may stand in a syntax tree: for each kind of node the keys that it may carry. Everything else is refused.

The tree is the JSON of DuckDB's `json_serialize_sql`. Expressions are told by `class`, query nodes, table references
and modifiers by `type`, plain records by the key that they stand under.
"""

from __future__ import annotations

_PLACE = "query_location query_location_length"
_TABLE = f"type alias sample {_PLACE}"
_NODE = "type modifiers cte_map"
_NAME = "schema catalog qualified_name"

EXPRESSIONS: dict[str, tuple[str, str]] = {
    "BETWEEN": ("COMPARE_BETWEEN COMPARE_NOT_BETWEEN", "input lower upper"),
    "CASE": ("CASE_EXPR", "case_checks else_expr"),
    "CAST": ("OPERATOR_CAST", "child try_cast type_expr"),
    "COLLATE": ("COLLATE", "child collation"),
    "COLUMN_REF": ("COLUMN_REF", "column_names"),
    "COMPARISON": (
        "COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO "
        "COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM",
        "left right",
    ),
    "CONJUNCTION": ("CONJUNCTION_AND CONJUNCTION_OR", "children"),
    "CONSTANT": ("VALUE_CONSTANT", "literal"),
    "FUNCTION": (
        "FUNCTION",
        f"{_NAME} function_name arguments filter order_bys distinct is_operator export_state",
    ),
    "LAMBDA": ("LAMBDA", "lhs expr syntax_type"),
    "OPERATOR": (
        "ARRAY_CONSTRUCTOR ARRAY_EXTRACT ARRAY_SLICE COMPARE_IN COMPARE_NOT_IN GROUPING_FUNCTION OPERATOR_COALESCE "
        "OPERATOR_IS_NOT_NULL OPERATOR_IS_NULL OPERATOR_NOT OPERATOR_NULLIF OPERATOR_TRY OPERATOR_UNPACK "
        "STRUCT_EXTRACT",
        "children",
    ),
    "PARAMETER": ("VALUE_PARAMETER", "identifier"),
    "POSITIONAL_REFERENCE": ("POSITIONAL_REFERENCE", "index"),
    "STAR": (
        "STAR",
        "relation_name exclude_list replace_list columns expr qualified_exclude_list rename_list",
    ),
    "SUBQUERY": ("SUBQUERY", "child comparison_type subquery subquery_type"),
    "TYPE": ("TYPE", f"{_NAME} type_name children"),
    "WINDOW": (
        "WINDOW_AGGREGATE WINDOW_CUME_DIST WINDOW_FILL WINDOW_FIRST_VALUE WINDOW_LAG WINDOW_LAST_VALUE WINDOW_LEAD "
        "WINDOW_NTH_VALUE WINDOW_NTILE WINDOW_PERCENT_RANK WINDOW_RANK WINDOW_RANK_DENSE WINDOW_ROW_NUMBER",
        f"{_NAME} function_name arguments arg_orders default_expr distinct start start_expr end end_expr "
        "exclude_clause filter_expr has_ignore_nulls ignore_nulls offset_expr orders partitions",
    ),
}
"""Class to its types and to its keys beside the common ones."""

TYPED: dict[str, str] = {
    "SELECT_NODE": f"{_NODE} aggregate_handling from_table group_expressions group_sets having qualify sample "
    "select_list where_clause",
    "SET_OPERATION_NODE": f"{_NODE} children left right setop_all setop_type",
    "RECURSIVE_CTE_NODE": f"{_NODE} aliases cte_name key_targets left right union_all",
    "BASE_TABLE": f"{_TABLE} schema_name table_name catalog_name qualified_name column_name_alias",
    "EMPTY": _TABLE,
    "EXPRESSION_LIST": f"{_TABLE} expected_names expected_types values",
    "JOIN": f"{_TABLE} condition delim_flipped duplicate_eliminated_columns is_implicit join_type left nearest_approx "
    "nearest_count nearest_order_type ranking_expression ref_type right using_columns",
    "PIVOT": f"{_TABLE} aggregates column_name_alias groups include_nulls pivots source unpivot_names",
    "SUBQUERY": f"{_TABLE} column_name_alias subquery",
    "TABLE_FUNCTION": f"{_TABLE} column_name_alias function with_ordinality",
    "ORDER_MODIFIER": "type orders",
    "LIMIT_MODIFIER": "type limit limit_type offset",
    "DISTINCT_MODIFIER": "type distinct_on_targets",
    "ORDER_DEFAULT": "type expression null_order",
    "ASCENDING": "type expression null_order",
    "DESCENDING": "type expression null_order",
}

RECORDS: dict[str, str] = {
    "statements": "node named_param_map",
    "subquery": "node named_param_map",
    "named_param_map": "key value",
    "cte_map": "map",
    "map": "key value",
    "value": "aliases key_targets materialized payload_aggregates query_node",
    "arguments": "expression name",
    "case_checks": "then_expr when_expr",
    "entries": "alias star_expr values",
    "pivots": "entries pivot_expressions unpivot_names",
    "qualified_exclude_list": "catalog column schema table",
    "key": "catalog column schema table",
    "rename_list": "key value",
    "replace_list": "key value",
    "sample": "is_percentage method repeatable sample_rate sample_size seed",
    "qualified_name": "path",
}

LEAVES = frozenset({"literal", "sample_size", "expected_types"})
"""Keys under which constants stand; nothing below them is run."""

NAMED_REFUSALS: dict[str, tuple[str, str]] = {
    "SHOW_REF": ("DESCRIBE, SUMMARIZE or SHOW", "Ask the catalogue: `datacanal dataset show LAKE.NAME`."),
    "COPY_QUERY_NODE": ("COPY inside WITH", "Write the question as one SELECT; the result can be saved with -o."),
    "INSERT_QUERY_NODE": ("INSERT", "Lakes are read-only here; write the question as one SELECT."),
    "UPDATE_QUERY_NODE": ("UPDATE", "Lakes are read-only here; write the question as one SELECT."),
    "DELETE_QUERY_NODE": ("DELETE", "Lakes are read-only here; write the question as one SELECT."),
    "DEFAULT": ("DEFAULT", "Write the value."),
    "at_clause": ("AT (time travel)", "A job reads the newest snapshot; leave AT out."),
    "pivot_enum": ("PIVOT over an enum type", "Name the values: PIVOT … ON column IN ('a', 'b')."),
}

_COMMON = "class type alias"


def expression_keys(cls: str) -> frozenset[str]:
    """Keys that an expression of the class may carry; empty for a class that is not allowed."""
    if cls not in EXPRESSIONS:
        return frozenset()
    return frozenset(f"{_COMMON} {_PLACE} {EXPRESSIONS[cls][1]}".split())


def expression_types(cls: str) -> frozenset[str]:
    """Types that the class may have."""
    return frozenset(EXPRESSIONS[cls][0].split()) if cls in EXPRESSIONS else frozenset()
