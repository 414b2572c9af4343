"""The pool's log never grows beyond its limit."""

from __future__ import annotations

from pathlib import Path

from datacanal.site.fleet.log import CappedLog


def test_a_full_log_moves_aside_and_the_newest_stays(tmp_path: Path) -> None:
    log = CappedLog(tmp_path / "pool.log", limit_bytes=100)
    for number in range(50):
        log.append(b"%09d\n" % number)
    assert (tmp_path / "pool.log").read_bytes().endswith(b"000000049\n")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 200
