"""What every DuckDB of ours is told before anything else: nothing comes from outside, and time is UTC.

Which folders it may open, how much memory it has and the lock at the end are its owner's to say.
"""

from __future__ import annotations

CLOSED = (
    "SET python_enable_replacements = false",
    "SET allow_community_extensions = false",
    "SET allow_unsigned_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET GLOBAL TimeZone = 'UTC'",
)
