"""What the components of a mixture are to the likelihood: densities of rows, and what their scores sum to.

A kind of components (a Gaussian in d dimensions, a regression, a table of probabilities) has all K components in one
object. Its free parameters are one vector phi of working coordinates: unconstrained, on standardised data, so that
any step is allowed. `places[k]` are the entries of phi that component k depends on; entries that several components
share stand in several of them.

Arrays have rows last: (S, K, m) for S points phi, K components and m rows, so that loops over rows are vectors.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .parameters import Parameters

__all__ = ["Block", "Components", "Point"]


class Block(Protocol):
    """Rows `start` to `stop` at S points: the densities, and what is made of them once posteriors are known."""

    @property
    def log_density(self) -> np.ndarray:
        """log f_k of every row, complete with constants: (S, K, m)."""

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """What a step of EM needs, summed over the rows with weights (S, K, m): (S, L); additive."""

    def scores(self) -> list[np.ndarray]:
        """For every component, d log f_k / d phi[places[k]] of every row: (places[k].size, m). At one point only."""

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Complete-data information summed over the rows and components with weights (K, m): expected and observed.

        Two matrices over phi; the same object twice where the two are equal. At one point only.
        """


class Point(Protocol):
    """The components at S points phi.

    One that has `em_pass(log_weights (S, K), weight (n,), start, stop)` makes densities, posteriors and sums of rows
    at once, where each is a unit and all have the same proportions: (S, 1 + K + L), the log-likelihood, the weights of
    the components and the sums. One whose `louis_pass`, called alike, is not None makes at one point additive sums,
    from which `louis(total, pi, places, size)` has the log-likelihood, the score and both kinds of information.
    """

    def rows(self, start: int, stop: int, informative: bool) -> Block:
        """A block of rows; `informative` says that its `scores` and `curvature` will be asked for."""


class Components(Protocol):
    """K components on their data."""

    @property
    def n(self) -> int:
        """Number of rows."""

    @property
    def count(self) -> int:
        """Number of components."""

    @property
    def places(self) -> tuple[np.ndarray, ...]:
        """For every component, the entries of phi that it depends on."""

    @property
    def size(self) -> int:
        """Length of phi."""

    @property
    def row_size(self) -> float:
        """Numbers that a row holds."""

    def at(self, phi: np.ndarray) -> Point:
        """The components at S points, phi of shape (S, size)."""

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The M-step: from the points and the sums of their blocks to the next points; NaN where there is none."""

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """A start: phi (size,) from weights of the rows in each component (K, n)."""

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order."""

    def order(self, phi: np.ndarray) -> np.ndarray:
        """The canonical order of the components at phi, (K,)."""

    def take(self, rows: np.ndarray) -> Components:
        """The same components on some of the rows, in the order given."""

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """Components that have degenerated, each with a sentence that says how; empty where all is well."""

    def report(self, phi: np.ndarray) -> Parameters:
        """The parameters in the user's units, component by component, shared ones last."""

    def features(self) -> np.ndarray:
        """What starts are made from by clustering, on comparable scales: (n, q)."""
