"""How a value of each kind can be written. `<kind>` is a hole for an expression, `<K>` one of any single kind.

Everything here has one answer in every order of rows: nothing tells -0.0 from 0.0, nothing sums inexact doubles,
nothing overflows, and nothing fails on some rows only.
"""

from __future__ import annotations

from datacanal.testing.sample import GRADE_TYPE, Kind

LITERALS: dict[Kind, tuple[str, ...]] = {
    Kind.INT: ("0", "1", "-3", "7", "12", "100", "5::UTINYINT", "2::HUGEINT", "3::BIGINT", "NULL::INTEGER"),
    Kind.BIG: ("0::BIGINT", "9223372036854775807", "(-9223372036854775807)"),
    Kind.DEC: ("0.00", "12.50", "-7.25", "3::DECIMAL(9, 3)", "NULL::DECIMAL(12, 2)", "1e1::DECIMAL(12, 2)"),
    Kind.DBL: ("0.0::DOUBLE", "1.5::DOUBLE", "'NaN'::DOUBLE", "'-inf'::DOUBLE", "-2e0", "0.25::FLOAT", "-0.0::DOUBLE"),
    Kind.STR: ("''", "'card'", "'Ada'", "'low'", "'Žižkov ☃ 1'", "'7'", "'O''Neil'", "NULL::VARCHAR", "'a%'"),
    Kind.BOOL: ("true", "false", "NULL::BOOLEAN"),
    Kind.DATE: ("DATE '2024-01-09'", "DATE '1976-03-18'", "'2024-02-01'::DATE", "current_date", "NULL::DATE"),
    Kind.TS: ("TIMESTAMP '2024-01-12 13:00:00'", "TIMESTAMP '2024-01-20 00:00:00.000001'", "localtimestamp"),
    Kind.TSTZ: ("TIMESTAMPTZ '2024-01-10 16:00:00+00'", "TIMESTAMPTZ '2024-01-15 10:00:00+05:30'", "now()"),
    Kind.TIME: ("TIME '06:47:00'", "TIME '23:59:59.5'", "NULL::TIME"),
    Kind.INTERVAL: ("INTERVAL 3 DAYS", "INTERVAL '5 days'", "NULL::INTERVAL"),
    Kind.UUID: ("'00000004-0000-4000-8000-0000000000ff'::UUID", "NULL::UUID"),
    Kind.BLOB: ("'\\x00\\xFF'::BLOB", "''::BLOB", "NULL::BLOB"),
    Kind.JSON: ("'null'::JSON", "'{\"a\": 1}'::JSON", "NULL::JSON"),
    Kind.INTS: ("[3, 1, 2]", "[]::INTEGER[]", "[NULL]::INTEGER[]", "NULL::INTEGER[]"),
    Kind.STRS: ("['a', 'b']", "[]::VARCHAR[]", "[NULL, 'x']", "NULL::VARCHAR[]"),
    Kind.STRUCT: ("{'city': 'Brno', 'age': 21::INTEGER}", "NULL::STRUCT(city VARCHAR, age INTEGER)"),
    Kind.GRADE: (f"'low'::{GRADE_TYPE}", f"'high'::{GRADE_TYPE}", f"NULL::{GRADE_TYPE}"),
}

PRODUCTIONS: dict[Kind, tuple[str, ...]] = {
    Kind.INT: (
        "(<int>::BIGINT + <int>)", "(<int>::BIGINT - <int>)", "((<int> % 97)::BIGINT * (<int> % 89))", "abs(<int>)",
        "length(<str>)", "year(<date>)", "extract(month FROM <date>)", "date_diff('day', <date>, <date>)",
        "CAST(<bool> AS INTEGER)", "len(<ints>)", "len(<strs>)", "(<int> // 3)", "(<int> % 7)", "instr(<str>, 'a')",
        "list_sum(<ints>)::BIGINT % 1009", "struct_extract(<struct>, 'age')", "(<struct>).age", "ascii(<str>)",
        "TRY_CAST(<str> AS SMALLINT)", "CASE WHEN regexp_full_match(<S>, '[0-9]{1,4}') THEN CAST(<S> AS INTEGER) END",
        "dayofweek(<ts>)", "date_part('hour', <tstz>)", "(<ints>)[1]", "list_position(<strs>, 'a')",
        "CAST(<json> -> '$.a' AS INTEGER)", "octet_length(<blob>)", "json_array_length(<json>)", "-(<int>::BIGINT)",
        "least(<int>, <int>)", "sign(<int>)", "ceil(<dec>)::INTEGER", "bit_count(<int>)", "(<int> & 15)",
        "list_aggregate(<ints>, 'max')", "list_reduce([0, 1] || <ints>, lambda p, q: (p + coalesce(q, 0)) % 1009)",
        "extract(epoch FROM <date>)::BIGINT % 1009", "unicode(<str>)", "levenshtein(<str>, 'card')",
    ),
    Kind.BIG: ("greatest(<big>, <big>)", "least(<big>, <int>::BIGINT)"),
    Kind.DEC: (
        "(<dec> + <dec>)::DECIMAL(18, 2)", "(<dec> - <dec>)::DECIMAL(18, 2)", "round(<dec>, 1)::DECIMAL(18, 2)",
        "abs(<dec>)", "(<int> % 1000)::DECIMAL(18, 2)", "(<dec> * 2)::DECIMAL(18, 2)", "greatest(<dec>, <dec>)",
    ),
    Kind.DBL: (
        "(<dbl> + <dbl>)", "(<dbl> - <dbl>)", "(<dbl> * 0.5::DOUBLE)", "<int>::DOUBLE", "abs(<dbl>)", "(<int> / 4)",
        "greatest(<dbl>, <dbl>)", "floor(<dbl>)", "ifnull(<dbl>, 0.25)", "<dec>::DOUBLE // 1", "(<dbl>::FLOAT)",
    ),
    Kind.STR: (
        "upper(<str>)", "lower(<str>)", "(<str> || <str>)", "substr(<str>, 2, 3)", "replace(<str>, 'a', '_')",
        "trim(<str>)", "reverse(<str>)", "concat_ws('-', <str>, <str>)", "CAST(<int> AS VARCHAR)", "<date>::VARCHAR",
        "CAST(<dec> AS VARCHAR)", "strftime(<date>, '%Y-%m')", "CAST(<bool> AS VARCHAR)", "(<strs>)[1]",
        "(<struct>).city", "struct_extract(<struct>, 'city')", "(<json> ->> '$.b[0]')", "CAST(<tstz> AS VARCHAR)",
        "dayname(<date>)", "CAST(<grade> AS VARCHAR)", "CAST(<uuid> AS VARCHAR)", "hex(<blob>)", "left(<str>, 2)",
        "regexp_replace(<str>, '[aeiou]', '_', 'g')", "format('{}/{}', <int>, <str>)", "<time>::VARCHAR",
        "CASE <str> WHEN 'card' THEN 'c' WHEN 'Ada' THEN <str> ELSE 'z' END", "(<str>)[1:2]", "concat(<str>, <int>)",
        "split_part(<str>, ' ', 1)", "lpad(<str>, 6, '.')", "array_to_string(<strs>, ',')", "typeof(<K>)",
        "regexp_extract(<str>, '[0-9]+')", "json_type(<json>)", "strip_accents(<str>)", "printf('%d', <int>)",
    ),
    Kind.BOOL: (
        "(<K> = <K>)", "(<K> <> <K>)", "(<K> < <K>)", "(<K> <= <K>)", "(<K> > <K>)", "(<K> >= <K>)", "(<K> = <K>)",
        "(<K> IS DISTINCT FROM <K>)", "(<K> IS NOT DISTINCT FROM <K>)", "(<K> IS NULL)", "(<K> IS NOT NULL)",
        "(<K> BETWEEN <K> AND <K>)", "(<K> NOT BETWEEN <K> AND <K>)", "(<K> IN (<K>, <K>))", "(<K> NOT IN (<K>, <K>))",
        "(<bool> AND <bool>)", "(<bool> AND <bool>)", "(<bool> OR <bool>)", "(NOT <bool>)", "(<str> LIKE '%a%')",
        "(<str> ILIKE 'c%')", "(<str> NOT LIKE '_a%')", "regexp_matches(<str>, '^[0-9]+$')", "starts_with(<str>, 'C')",
        "list_contains(<ints>, <int>)", "contains(<str>, 'o')", "isnan(<dbl>)", "isfinite(<dbl>)", "(<bool> IS TRUE)",
        "(<str> SIMILAR TO 'c.*')", "(<str> GLOB 'c*')", "list_has_any(<strs>, ['a', 't1'])", "(<int> % 3 = 1)",
        "(<bool> IS NOT FALSE)", "((<int>, <str>) = (<int>, <str>))", "((<int>, <date>) < (<int>, <date>))",
        "(<str> > 'b' COLLATE nocase)", "(xor(CAST(<bool> AS INTEGER), 1) = 1)", "(<json> IS NULL)",
    ),
    Kind.DATE: (
        "(<date> + (<int> % 400)::INTEGER)", "date_trunc('month', <date>)::DATE", "CAST(<ts> AS DATE)",
        "last_day(<date>)", "greatest(<date>, <date>)", "make_date(2024, 1 + abs(<int> % 12)::INTEGER, 1)",
        "CAST(<tstz> AS DATE)", "TRY_CAST(<str> AS DATE)", "(<date> - INTERVAL 2 DAYS)::DATE",
    ),
    Kind.TS: (
        "(<ts> + to_hours((<int> % 50)::INTEGER))", "date_trunc('day', <ts>)::TIMESTAMP", "<date>::TIMESTAMP",
        "(<ts> + <interval>)", "CAST(<tstz> AS TIMESTAMP)", "time_bucket(INTERVAL 6 HOURS, <ts>)",
    ),
    Kind.TSTZ: (
        "(<tstz> + INTERVAL 1 DAY)", "date_trunc('hour', <tstz>)", "<ts>::TIMESTAMPTZ", "(<tstz> - <interval>)",
        "(<ts> AT TIME ZONE 'Europe/Prague')", "to_timestamp((<int> % 100000)::BIGINT)",
    ),
    Kind.TIME: ("CAST(<ts> AS TIME)", "least(<time>, <time>)", "(<time> + INTERVAL 90 MINUTES)"),
    Kind.INTERVAL: ("to_days((<int> % 20)::INTEGER)", "(<ts> - <ts>)", "least(<interval>, <interval>)"),
    Kind.UUID: ("least(<uuid>, <uuid>)",),
    Kind.BLOB: ("encode(<str>)", "(<blob> || <blob>)", "unhex(hex(<blob>))"),
    Kind.JSON: (
        "json_object('k', <int>, 'v', <str>)", "to_json(<strs>)", "json_array(<str>, <int>)", "(<json> -> 'a')",
        "(<json> -> '$.b')", "to_json(<struct>)",
    ),
    Kind.INTS: (
        "[<int>, <int>]", "list_transform(<ints>, lambda v: v + 1)", "list_filter(<ints>, lambda v: v > <int>)",
        "list_sort(<ints>)", "(<ints>)[1:2]", "list_concat(<ints>, <ints>)", "list_reverse(<ints>)",
        "[v * 2 FOR v IN <ints> IF v > 1]", "range(abs(<int> % 4))", "list_sort(list_distinct(<ints>))",
        "list_transform(<strs>, lambda s, i: length(s) + i)",
    ),
    Kind.STRS: (
        "[<str>, <str>]", "string_split(<str>, ' ')", "list_transform(<strs>, lambda s: upper(s))",
        "list_sort(<strs>, 'DESC', 'NULLS FIRST')", "(<strs> || <strs>)", "list_append(<strs>, <str>)",
    ),
    Kind.STRUCT: (
        "{'city': <str>, 'age': (<int> % 100)::INTEGER}", "struct_pack(city := <str>, age := (<int> % 90)::INTEGER)",
        "row(<str>, (<int> % 50)::INTEGER)::STRUCT(city VARCHAR, age INTEGER)",
    ),
    Kind.GRADE: (
        f"(CASE WHEN <bool> THEN 'low' ELSE 'high' END)::{GRADE_TYPE}", f"TRY_CAST(<str> AS {GRADE_TYPE})",
    ),
}  # fmt: skip

PLAIN_FILTERS: dict[Kind, tuple[str, ...]] = {
    Kind.INT: ("@ > 3", "@ <> 7", "@ IN (1, 2, 5, 8)", "@ BETWEEN 2 AND 40", "@ = 4", "@ IS NOT NULL"),
    Kind.BIG: ("@ > 0", "@ IS NULL", "@ < 9223372036854775807"),
    Kind.DEC: ("@ > 3.5", "@ <= 12.50", "@ BETWEEN -20 AND 40", "@ IS NOT NULL", "@ <> 3.75"),
    Kind.DBL: ("@ > 0", "@ = 0.0::DOUBLE", "@ <> 'NaN'::DOUBLE", "@ >= 'NaN'::DOUBLE", "@ <= -0.0::DOUBLE", "@ < 1.5"),
    Kind.STR: ("@ = 'card'", "@ <> ''", "@ IN ('Ada', 'Bob', 'low')", "@ LIKE 'c%'", "@ >= 'Ž'", "@ LIKE '%a%'"),
    Kind.BOOL: ("@", "NOT @", "@ IS NOT NULL", "@ = true", "@ IS NOT TRUE"),
    Kind.DATE: ("@ >= DATE '2024-01-09'", "@ < DATE '1990-01-01'", "@ <> current_date", "@ <= '2024-01-20'"),
    Kind.TS: ("@ > TIMESTAMP '2024-01-12 13:00:00'", "@ IS NULL"),
    Kind.TSTZ: ("@ < TIMESTAMPTZ '2024-01-20 00:00:00+02'", "@ <= now()"),
    Kind.TIME: ("@ > TIME '10:00:00'",),
    Kind.UUID: ("@ = '00000004-0000-4000-8000-0000000000ff'", "@ IS NOT NULL"),
    Kind.BLOB: ("@ <> ''::BLOB", "@ IS NOT NULL"),
    Kind.JSON: ("@ IS NOT NULL",),
    Kind.INTS: ("@ IS NOT NULL", "@ <> []"),
    Kind.STRS: ("@ IS NOT NULL", "len(@) > 0"),
    Kind.STRUCT: ("(@).age > 20", "@ IS NOT NULL"),
    Kind.INTERVAL: ("@ > INTERVAL 2 DAYS",),
    Kind.GRADE: ("@ >= 'mid'", "@ = 'low'"),
}  # fmt: skip
"""Filters as people write them, on one column `@`: those that can go down to a site."""

GENERIC = (
    "CASE WHEN <bool> THEN <k> ELSE <k> END",
    "CASE WHEN <bool> THEN <k> WHEN <bool> THEN <k> END",
    "coalesce(<k>, <k>)",
    "nullif(<k>, <k>)",
    "if(<bool>, <k>, <k>)",
    "(<k>)",
)
"""Ways that hold for every kind `k`."""

AGGREGATES: dict[Kind, tuple[str, ...]] = {
    Kind.INT: (
        "count(*)~", "count(<K>)~", "count(DISTINCT <K>)~", "(sum(<int>)~ % 10007)::BIGINT", "bit_and(<int>)~",
        "len(list(<int>)~)", "sum(DISTINCT <int> % 100)~::BIGINT", "count_if(<bool>)~", "bit_xor(<int>)~",
        "quantile_disc(<int>, 0.5)~", "product(<int> % 2)~::INTEGER", "count(DISTINCT (<int>, <str>))~",
    ),
    Kind.DEC: ("sum(<dec>)~::DECIMAL(18, 2)", "sum(DISTINCT <dec>)~::DECIMAL(18, 2)"),
    Kind.DBL: (
        "sum(<dbl>)~", "floor(avg(<int>)~ * 16) / 16", "median(<int>)~", "quantile_cont(<int> % 50, 0.25)~",
    ),
    Kind.STR: ("string_agg(<S>, '|' ORDER BY <S>)~", "string_agg(DISTINCT <S>, ',' ORDER BY <S>)~"),
    Kind.BOOL: ("bool_and(<bool>)~", "bool_or(<bool>)~", "(count(*)~ > 2)"),
    Kind.INTS: ("list(<I> ORDER BY <I> DESC NULLS LAST)~", "array_agg(DISTINCT <I> ORDER BY <I>)~"),
    Kind.STRS: ("list(<S> ORDER BY <S> NULLS FIRST)~",),
}  # fmt: skip
"""`~` stands where a FILTER may come; `<S>` and `<I>` are one text and one integer expression, used twice."""

GENERIC_AGGREGATES = ("min(<k>)~", "max(<k>)~", "first(<k> ORDER BY <key>)~", "last(<k> ORDER BY <key>)~")

FINALS = (
    "<int>::HUGEINT * 1000000000000000000000", "<big>::HUGEINT * 3", "<int>::DOUBLE / 3", "TRY_CAST(<str> AS INTEGER)",
    "MAP {'k': <int>, 'l': 2}", "abs(<int> % 100)::UHUGEINT", "union_value(num := <int>)", "abs(<int>)::UBIGINT",
    "(<int> & 15)::INTEGER::BIT", "<ts>::TIMESTAMP_S", "<ts>::TIMESTAMP_MS", "<ts>::TIMESTAMP_NS", "NULL",
    "<time>::TIMETZ", "<int>::BIGNUM", "[<int>, <int>, <int>]::BIGINT[3]", "[{'n': <int>, 'd': <dbl>}]", "<dbl>::FLOAT",
    "{'deep': {'x': [<str>], 'y': <dec>}}", "ln(2 + abs(<int>))", "sqrt(abs(<int>))", "INTERVAL '1 month 2 days'",
    "[<dbl>, NULL]", "(<int> % 100)::TINYINT", "<dec>::DECIMAL(30, 10)", "age(<ts>, TIMESTAMP '2024-01-01')",
)  # fmt: skip
"""Values of the types that nothing computes with: they only appear in the outermost select list."""

FINAL_AGGREGATES = (
    "sum(<int>)~", "avg(<dec>)~", "avg(<int>)~", "stddev_pop(<int> % 100)~", "sum(<big>)~", "histogram(<int> % 5)~",
    "var_samp(<int> % 50)~", "sum(<dec>)~", "mad(<int>)~", "avg(<dbl>)~", "max(<K>, 2)~",
    "quantile_disc(<int>, [0.25, 0.75])~",
)  # fmt: skip

FAILING = ("CAST(<str> AS INTEGER)", "CAST(<str> AS DATE)", "<dbl>::INTEGER", "<big>::INTEGER", "<big> + 1")
"""Values that some rows cannot have: where one of these fails in one engine, it must fail in the other."""
