"""A kernel process: tasks as JSON frames on stdin, outcomes on stdout, one task at a time, killable at any moment.

`python -m datacanal.site.engine.kernel_process SETTINGS`, started ahead by its worker. Memory is bounded by the
operating system: DuckDB's own limit is a request that a single large allocation ignores.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import pyarrow as pa

from datacanal.frames import claim_stdout, read_frame, write_frame
from datacanal.lifeline import hold_on
from datacanal.site.engine.kernel import Kernel
from datacanal.site.engine.work import KernelSettings, Work

SLACK_BYTES = 512 * 2**20
"""What the process may use beyond its limit: Arrow batches on their way, stacks, what the allocator keeps."""


def main(arguments: list[str]) -> None:
    """Serve until stdin ends."""
    hold_on()
    outcomes = claim_stdout()
    settings = KernelSettings.model_validate_json(arguments[0])
    _limit_process()
    # Arrow's own allocator reserves a gigabyte at once, which the operating system's limit counts.
    pa.set_memory_pool(pa.system_memory_pool())
    kernel = Kernel(settings)
    write_frame(outcomes, b"{}")
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        work = Work.model_validate_json(frame)
        # Counted anew each time: allocators keep the addresses of what an earlier, larger task used.
        _limit_memory(_data_bytes() + work.memory_bytes + SLACK_BYTES)
        write_frame(outcomes, kernel.run(work).model_dump_json().encode())
        kernel.renew()


def _limit_process() -> None:
    """No core dumps (they would hold data), as many open files as a snapshot may have, and the first to go.

    Where memory runs out it is the kernel that is killed, not the worker, which then says what happened.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_memory(limit_bytes: int) -> None:
    """The soft limit only: the next task may be given more."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = limit_bytes if most == resource.RLIM_INFINITY else min(limit_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def _data_bytes() -> int:
    """Private writable memory of this process as the limit counts it."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  # a kernel interface, not a path of ours
        return int(statm.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(sys.argv[1:])
