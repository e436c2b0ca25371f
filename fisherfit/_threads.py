"""Threads: one pool a process, BLAS held at one thread while it works, safe after a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

from .errors import InputError

T = TypeVar("T")
_lock = threading.RLock()
_queue = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}
_controller: Any = None
_holders = 0
_before: list[tuple[Any, int]] = []


def _forget() -> None:
    """A forked child has none of its parent's threads: start afresh."""
    global _lock, _queue, _pools, _holders, _before
    _lock, _queue, _pools, _holders, _before = threading.RLock(), threading.Lock(), {}, 0, []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def thread_count(n_jobs: Any) -> int:
    """Threads for `n_jobs`: None means OMP_NUM_THREADS or all processors, -1 all, -2 all but one."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        return max(1, min(int(wanted), available)) if wanted.isdigit() else available
    one = hasattr(n_jobs, "__index__") and not getattr(n_jobs, "ndim", 0)
    if isinstance(n_jobs, bool) or not one or n_jobs == 0:
        raise InputError(f"n_jobs: expected None, -1 or a positive whole number, got {n_jobs!r}")
    return int(n_jobs) if int(n_jobs) > 0 else max(1, available + 1 + int(n_jobs))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS at one thread; nested and concurrent holders share one limit, undone by the last."""
    global _controller, _holders, _before
    with _lock:
        if _controller is None:
            import scipy.linalg  # noqa: F401  (loads scipy's BLAS, so that the controller sees it)
            from threadpoolctl import ThreadpoolController

            _controller = ThreadpoolController().select(user_api="blas")
        if _holders == 0:
            _before = [(library, library.get_num_threads()) for library in _controller.lib_controllers]
            _set((library, 1) for library, _ in _before)
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _set(_before)
                _before = []


def _set(threads: Iterable[tuple[Any, int]]) -> None:
    for library, count in threads:
        library.set_num_threads(count)


def run(task: Callable[[Any], T], items: Sequence[Any], threads: int) -> list[T]:
    """task(item) for every item, in the order of the items, on `threads` threads, the calling one among them.

    Threads take the next item as they become free: with one future for each, waking them would cost more than a
    short task.
    """
    if threads <= 1 or len(items) <= 1:
        return [task(item) for item in items]
    with _lock:
        pool = _pools.get(threads)
        if pool is None:
            pool = _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="fisherfit")
    results: list[Any] = [None] * len(items)
    queue = iter(enumerate(items))
    stopped = False

    def work() -> None:
        nonlocal stopped
        try:
            while not stopped:
                with _queue:
                    at, item = next(queue, (-1, None))
                if at < 0:
                    return
                results[at] = task(item)
        except BaseException:
            stopped = True
            raise

    # with the caller's context: np.errstate holds in its own thread alone
    futures = [pool.submit(copy_context().run, work) for _ in range(min(threads, len(items)) - 1)]
    try:
        work()
    finally:
        stopped = True
        for future in futures:
            future.cancel()
        wait(futures)
    for future in futures:
        if not future.cancelled():
            future.result()
    return results
