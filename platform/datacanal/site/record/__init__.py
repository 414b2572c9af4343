"""The site's record: every decision about what leaves it, append-only, chained by hashes and signed at its head."""
