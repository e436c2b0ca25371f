"""The machine: what it is, how fast it reads and multiplies, how much memory this process holds."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

BLOCK = 1 << 20  # bytes of a block that stays in the cache of its core
TRIALS = 15


def description(threads: int) -> dict[str, Any]:
    """Processor, memory and threads."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        pairs = (line.partition(":")[::2] for line in info.read_text().splitlines())
        model = next((value.strip() for key, value in pairs if key.strip() == "model name"), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "memory_GB": round(memory / 1e9, 1),
        "python": platform.python_version(),
        "system": platform.system(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def fastest(task: Callable[[], Any], trials: int = TRIALS) -> float:
    """Seconds of the fastest of several runs: what the machine can do, not what it did while disturbed."""
    best = np.inf
    for _ in range(trials):
        begin = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - begin)
    return best


def read_seconds(X: np.ndarray, threads: int) -> float:
    """Time to read a matrix once: X v in blocks of rows, on several threads."""
    n, p = X.shape
    v, out = np.ones(p), np.empty(n)
    step = max(256, BLOCK // (8 * p))

    def part(k: int) -> None:
        for start in range(n * k // threads, n * (k + 1) // threads, step):
            stop = min(start + step, n * (k + 1) // threads)
            np.dot(X[start:stop], v, out=out[start:stop])

    return _on_threads(part, threads)


def dsyrk_seconds(n: int, p: int, threads: int) -> float:
    """Time of the multiplications of X'WX for n rows: dsyrk on blocks that are in the cache already.

    NumPy calls dsyrk for a product of an array with its own transpose, and lets other threads run meanwhile.
    """
    rows = max(64, BLOCK // (8 * p))
    calls = max(1, int(np.ceil(2e8 / (rows * p * p))))  # some tens of milliseconds
    blocks = [np.full((rows, p), 0.5) for _ in range(threads)]
    sums = [np.zeros((p, p)) for _ in range(threads)]

    def part(k: int) -> None:
        for _ in range(calls):
            np.dot(blocks[k].T, blocks[k], out=sums[k])

    return _on_threads(part, threads) * n / (rows * calls * threads)


def _on_threads(part: Callable[[int], None], threads: int) -> float:
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        return fastest(lambda: list(pool.map(part, range(threads))))


def resident() -> int:
    """Bytes of memory that this process holds."""
    return _status("VmRSS")


class Peak:
    """The most memory held since it was made, beyond what was held then, in bytes."""

    def __init__(self) -> None:
        gc.collect()
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # freed pages go back, so that they are not counted as held
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the kernel starts its high-water mark afresh
            self._begin = resident()
        except OSError:
            self._begin = self._high()  # then only what exceeds all earlier use is seen

    def beyond(self) -> int:
        """Bytes beyond the beginning."""
        return max(0, self._high() - self._begin)

    @staticmethod
    def _high() -> int:
        try:
            return _status("VmHWM")
        except OSError:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
