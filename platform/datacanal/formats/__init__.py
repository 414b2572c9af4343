"""How values of every DuckDB type leave: one table of rules, and the SQL that carries them out (docs/types.md)."""
