"""Progress of a fit: nothing for short ones, a line or a bar for those who ask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Callback = Callable[[int, float, float], None]


@contextmanager
def watch(verbose: int, rows: int, tally: Any = None) -> Iterator[Callback | None]:
    """A callback for the solver: None (verbose 0), a line a step (1), a progress bar on a terminal (2).

    A `tally` of passes over rows that are read batch by batch is told whom to tell of every batch.
    """
    if not verbose:
        yield None
        return
    if verbose >= 2:
        import math

        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"Fitting {rows:,} rows", total=24.0, state="")

            if tally is not None:
                with _passes(bar, task, rows, tally) as callback:
                    yield callback
                return

            def advance(iteration: int, loglik: float, decrement: float) -> None:
                done = 4.0 - math.log10(min(max(decrement, 1e-20), 1e4))
                bar.update(task, completed=done, state=f"step {iteration}, decrement {decrement:.1e}")

            yield advance
        return

    def line(iteration: int, loglik: float, decrement: float) -> None:
        print(f"step {iteration:3d}  log-likelihood {loglik:+.10e}  decrement {decrement:.2e}", file=sys.stderr)

    yield line


@contextmanager
def _passes(bar: Any, task: Any, rows: int, tally: Any) -> Iterator[Callback]:
    """Show the rows done in a pass, the number of the pass, and the decrement where the solver has said it."""
    last = [""]

    def hear(number: int, done: int) -> None:
        of = f" of {rows:,}" if rows else ""
        state = f"pass {number}, {done:,}{of} rows{last[0]}"
        bar.update(task, completed=min(done, rows), total=rows or None, state=state)

    def advance(iteration: int, loglik: float, decrement: float) -> None:
        last[0] = f", decrement {decrement:.1e}"

    before, tally.listener = tally.listener, hear
    try:
        yield advance
    finally:
        tally.listener = before
