"""The egress gate: what of a step's output may leave, decided outside the query that made it."""
