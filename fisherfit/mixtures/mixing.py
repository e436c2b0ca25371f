"""Mixing proportions: a multinomial logit, of an intercept or of concomitant variables (Dayton & Macready, 1988).

psi are K - 1 rows of q coefficients, the first component being the reference: log(pi_k / pi_1) = z' psi_k.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..linalg import cholesky
from .parameters import Parameters


@dataclass(frozen=True, eq=False)
class Mixing:
    """The proportions of K components: the same for all units (`design` None), or by a design (units, q)."""

    count: int
    design: np.ndarray | None = None
    names: tuple[str, ...] = ("Intercept",)
    jacobian: np.ndarray | None = None  # the user's coefficients of a component from those of the design

    @property
    def width(self) -> int:
        """Coefficients of a component."""
        return 1 if self.design is None else self.design.shape[1]

    @property
    def size(self) -> int:
        """Length of psi."""
        return (self.count - 1) * self.width

    @property
    def sums_size(self) -> int:
        """Numbers in a row of `sums`."""
        return self.count if self.design is None else self.size + self.size**2

    def columns(self, start: int, stop: int) -> np.ndarray:
        """The design of some units, units last: (q, m), or (1, 1) where all units are alike."""
        return np.ones((1, 1)) if self.design is None else self.design[start:stop].T

    def log_weights(self, psi: np.ndarray, start: int, stop: int) -> np.ndarray:
        """log pi_k of some units at S points psi (S, size): (S, K, m), or (S, K, 1) where all units are alike."""
        z = self.columns(start, stop)
        ratio = psi.reshape(len(psi), self.count - 1, self.width) @ z
        ratio = np.concatenate([np.zeros((len(psi), 1, z.shape[1])), ratio], axis=1)
        ratio -= ratio.max(axis=1, keepdims=True)
        return np.asarray(ratio - np.log(np.exp(ratio).sum(axis=1, keepdims=True)))

    def scores(self, pi: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
        """For every component, d log pi_k / d psi of some units: (size, m) from pi (K, m)."""
        units, m = np.eye(self.count), z.shape[1]
        return [((units[k, 1:, None] - pi[1:])[:, None, :] * z).reshape(self.size, m) for k in range(self.count)]

    def information(self, pi: np.ndarray, z: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The information of the complete data about psi, sum of w (diag(pi) - pi pi') times zz': (size, size)."""
        if z.shape[1] == 1:
            p, total = pi[1:, 0], float(weight.sum())
            return np.asarray(total * (np.diag(p) - np.outer(p, p)))
        out = np.empty((self.count - 1, self.width, self.count - 1, self.width))
        for k in range(1, self.count):
            for other in range(k, self.count):
                w = weight * pi[k] * ((k == other) - pi[other])
                block = (z * w) @ z.T
                out[k - 1, :, other - 1] = block
                out[other - 1, :, k - 1] = block.T
        return out.reshape(self.size, self.size)

    def sums(self, psi: np.ndarray, weight: np.ndarray, start: int, stop: int, pi: np.ndarray) -> np.ndarray:
        """What the M-step needs of some units with weights (S, K, m): (S, L), additive."""
        if self.design is None:
            return np.asarray(weight.sum(axis=2))
        z, out = self.columns(start, stop), []
        for s in range(len(psi)):
            total = weight[s].sum(axis=0)
            gap = weight[s, 1:] - total * pi[s, 1:]
            out.append(np.concatenate([(gap @ z.T).ravel(), self.information(pi[s], z, total).ravel()]))
        return np.array(out)

    def update(self, psi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The M-step: shares of the posterior weight, or one natural-gradient step of the multinomial logit."""
        if self.design is None:
            with np.errstate(divide="ignore"):
                return np.asarray(np.maximum(np.log(sums[:, 1:]) - np.log(sums[:, :1]), -700.0))
        out = psi.copy()
        for s, row in enumerate(sums):
            score, information = row[: self.size], row[self.size :].reshape(self.size, self.size)
            factor = cholesky(information)
            out[s] += np.nan if factor is None else factor.solve(score)
        return out

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """psi whose proportions are the shares of weights (K, units): covariates come in by later steps."""
        share = np.log(np.maximum(weight.sum(axis=1), 1e-12 * max(weight.sum(), 1e-300)))
        out = np.zeros((self.count - 1, self.width))
        out[:, 0] = share[1:] - share[0]
        return out.ravel()

    def permuted(self, psi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """psi with the components in another order."""
        rows = np.concatenate([np.zeros((1, self.width)), psi.reshape(self.count - 1, self.width)])[order]
        return np.asarray((rows - rows[0])[1:].ravel())

    def report(self, psi: np.ndarray) -> Parameters:
        """The proportions where all units are alike, else the coefficients of the multinomial logit."""
        if self.design is None:
            pi = np.exp(self.log_weights(psi[None], 0, 1))[0, :, 0]
            jacobian = (np.diag(pi) - np.outer(pi, pi))[:, 1:]
            names = tuple(f"weight[{k}]" for k in range(self.count))
            return Parameters(names, pi, jacobian, ("unit",) * self.count)
        names = tuple(f"class[{k}]:{name}" for k in range(1, self.count) for name in self.names)
        jacobian = np.kron(np.eye(self.count - 1), self._to_user)
        return Parameters(names, self.coefficients(psi)[1:].ravel(), jacobian, ("real",) * self.size)

    @property
    def _to_user(self) -> np.ndarray:
        return np.eye(self.width) if self.jacobian is None else self.jacobian

    def coefficients(self, psi: np.ndarray) -> np.ndarray:
        """The coefficients of every component on the user's columns, zeros for the first: (K, q)."""
        rows = psi.reshape(self.count - 1, self.width) @ self._to_user.T
        return np.concatenate([np.zeros((1, self.width)), rows])

    def from_report(self, value: dict[str, float]) -> np.ndarray:
        """psi from parameters by the names of `report`; a KeyError for one that is not there."""
        if self.design is None:
            share = np.log([value[f"weight[{k}]"] for k in range(self.count)])
            return np.asarray(share[1:] - share[0])
        rows = np.array([[value[f"class[{k}]:{name}"] for name in self.names] for k in range(1, self.count)])
        return np.asarray(np.linalg.solve(self._to_user, rows.T).T.ravel())

    def take(self, units: np.ndarray) -> Mixing:
        """The proportions of some of the units."""
        return self if self.design is None else replace(self, design=self.design[units])


__all__ = ["Mixing"]
