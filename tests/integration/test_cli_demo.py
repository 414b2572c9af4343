"""The demonstration ends well, and the commands that it prints work as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHIN_S = 90


def demo(directory: Path) -> str:
    """A small demonstration, to its end; gives what it printed."""
    arguments = [sys.executable, "-m", "datacanal.cli", "demo", "--scale", "0.02", "--dir", str(directory)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demonstration_finds_its_lakes_again_and_its_commands_work(tmp_path: Path) -> None:
    assert "made in" in demo(tmp_path)
    out = demo(tmp_path)
    assert "found as they were made before" in out
    assert "moved between the sites" in out
    assert out.count("bank.travel_by_segment") >= 3
    assert '"data":[{"segment":' in out or "this machine has no curl" in out
    commands = [line.strip() for line in out.splitlines() if line.startswith("  ") and "datacanal " in line]
    assert len(commands) == 4
    service = subprocess.Popen(["/bin/sh", "-c", f"exec {commands[0]}"], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        assert service.stdout.readline().startswith("ready: ")
        for command in commands[1:]:
            done = subprocess.run(
                ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=WITHIN_S, check=False
            )
            assert done.returncode == 0, done.stderr
            assert any(word in done.stdout for word in ("web_partner", "loan_payments", "CZ"))
    finally:
        service.terminate()
        service.communicate(timeout=WITHIN_S)
