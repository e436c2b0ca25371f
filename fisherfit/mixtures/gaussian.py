"""Gaussian components in d dimensions, with any of the structures of covariances.

In working coordinates a row u has log f_k = c_k - |z|^2 / 2, z = L_k^-1 (u - mu_k), Sigma_k = L_k L_k'. Passes of EM
are one compiled loop (`gaussian_pass`); for scores, z is formed by products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .frame import Frame, frame_of
from .gaussian_moments import size_of
from .gaussian_rows import GaussianPoint
from .parameters import Parameters
from .scatter import maximise
from .structures import Structure, structure_of

FLOOR = 1e-10  # least variance along an axis in a step of EM, relative to that of all rows
NARROW = 1e-8  # the same, below which a component has collapsed
COLLAPSED = 1e-13  # and below which there is no density
EXPONENTIAL = 20.0  # multiplications that an exponential costs as much as


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """The fields of `Gaussian`: working rows (d, n), the structure, the frame, names of the columns, a prior."""

    u: np.ndarray
    structure: Structure
    frame: Frame
    names: tuple[str, ...]
    prior: Any = None


class Gaussian(_Gaussian):
    """K Gaussian components on data.

    Parameters
    ----------
    x : array of shape (n, d)
        The data, of any number type and layout; they are copied once, in working coordinates.
    count : int
        K.
    structure : str
        "full", "tied", "diag", "spherical" or one of mclust's names, "EII" to "VVV".
    names : sequence of str, optional
        Of the columns: "x0", "x1", ... by default.

    Raises
    ------
    InputError
        A value that is not finite, a constant column, a column that the others determine, an unknown structure.

    Examples
    --------
    >>> import numpy as np
    >>> from fisherfit.mixtures.gaussian import Gaussian
    >>> x = np.concatenate([np.arange(10.0), 100.0 + np.arange(10.0)])[:, None]
    >>> two = Gaussian(x, 2, "full")
    >>> two.means(two.from_posterior(np.repeat(np.eye(2), 10, axis=1))).round(6).tolist()
    [[4.5], [104.5]]
    """

    def __init__(self, x: Any, count: int, structure: str = "full", names: Any = None) -> None:
        x = np.asarray(x)
        if x.ndim != 2:
            raise InputError(f"X has {x.ndim} dimensions; expected a table of n rows and d columns")
        labels = tuple(f"x{j}" for j in range(x.shape[1])) if names is None else tuple(str(name) for name in names)
        made = structure_of(structure, count, x.shape[1])
        frame = frame_of(x, made.group, labels)
        super().__init__(frame.rows(x), made, frame, labels)

    @classmethod
    def _of(cls, u: np.ndarray, like: Gaussian) -> Gaussian:
        out = cls.__new__(cls)
        _Gaussian.__init__(out, u, like.structure, like.frame, like.names, like.prior)
        return out

    def with_prior(self, prior: Any) -> Gaussian:
        """The same components with a `Prior`, which the M-step then takes account of."""
        out = type(self).__new__(type(self))
        _Gaussian.__init__(out, self.u, self.structure, self.frame, self.names, prior)
        return out

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.u.shape[1])

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.u.shape[0])

    @property
    def count(self) -> int:
        """Number of components."""
        return self.structure.count

    @property
    def places(self) -> tuple[np.ndarray, ...]:
        """For every component, the entries of phi that it depends on."""
        return self.structure.places

    @property
    def size(self) -> int:
        """Length of phi."""
        return self.structure.size

    @property
    def locations(self) -> np.ndarray:
        """The entries of phi that are means: these are large where a row is far out, and run nowhere."""
        return self.structure.locations

    @property
    def turns(self) -> np.ndarray:
        """The entries of phi that say how orthogonal axes lie."""
        return self.structure.turns

    @property
    def row_size(self) -> float:
        """Numbers that a row holds while it is worked on."""
        pairs = self.d * (self.d + 1) // 2 if self.structure.axes != "none" else self.d
        return float(min(1 + self.d + pairs, 2 * self.d * self.count + self.d))

    @property
    def dearness(self) -> float:
        """What the information of the rows costs, in steps of EM, where it is had from moments."""
        pairs, aligned = self.count * (self.count + 3) // 2, self.structure.axes == "none"
        q = 1 + 2 * self.d if aligned else 1 + self.d * (self.d + 3) // 2
        return pairs * size_of(self.d, aligned) / (self.count * (2.0 * q + EXPONENTIAL))

    @property
    def n_covariance(self) -> int:
        """Free parameters of the covariances, as mclust counts them."""
        return self.size - self.count * self.d

    def at(self, phi: np.ndarray) -> GaussianPoint:
        """The components at S points."""
        return GaussianPoint(self.u, self.structure, self.frame.log_scale, COLLAPSED * self._least, phi)

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The M-step: means, and covariances of the structure."""
        n, mean, scatter = self.at(phi).moments(sums)
        if self.prior is not None:
            n, mean, scatter = self.prior.added(n, mean, scatter)
        q = self.structure.axes_of(self.structure.unpack(phi)[2]) if self.structure.axes == "orthogonal" else None
        return self._maximum(n, mean, scatter, q)

    def _maximum(self, n: np.ndarray, mean: np.ndarray, scatter: np.ndarray, q: np.ndarray | None) -> np.ndarray:
        good = np.isfinite(mean).all(axis=(1, 2)) & np.isfinite(scatter).all(axis=(1, 2, 3)) & (n > 0.0).all(axis=1)
        out = np.full((len(n), self.size), np.nan)
        if good.any():
            v, turn = maximise(
                self.structure, n[good], scatter[good], FLOOR * self._least, None if q is None else q[good]
            )
            out[good] = self.structure.pack(mean[good], v, turn)
        return out

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """A start: the M-step of weights of the rows in each component (K, n).

        Components that have too few rows for their covariance get some of that of all rows.
        """
        k, d = weight.shape[0], self.d
        n = np.maximum(weight.sum(axis=1), 1e-12)
        mean = weight @ self.u.T / n[:, None]
        scatter = np.empty((k, d, d))
        step = 8192
        scatter[:] = 0.0
        for start in range(0, self.n, step):
            part, w = self.u[:, start : start + step], weight[:, start : start + step]
            for c in range(k):
                gap = part - mean[c][:, None]
                scatter[c] += (gap * w[c]) @ gap.T
        effective = n**2 / np.maximum((weight**2).sum(axis=1), 1e-300)
        lacking = np.clip((d + 1.0 - effective) / (d + 1.0), 1e-3, 1.0)
        scatter = scatter * (1.0 - lacking[:, None, None]) + (lacking * n)[:, None, None] * self.frame.spread
        return self._maximum(n[None], mean[None], scatter[None], None)[0]

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order."""
        out, split = phi.copy(), self.count * self.structure.own
        out[:split] = phi[:split].reshape(self.count, -1)[order].ravel()
        return out

    def order(self, phi: np.ndarray) -> np.ndarray:
        """Ascending in the first mean, then in the next."""
        return np.lexsort(self.means(phi).T[::-1])

    def take(self, rows: np.ndarray) -> Gaussian:
        """The same components on some of the rows, in the same working coordinates."""
        return Gaussian._of(np.ascontiguousarray(self.u[:, rows]), self)

    def on(self, x: Any) -> Gaussian:
        """The same components on other data (n, d), in the same working coordinates."""
        return Gaussian._of(self.frame.rows(np.asarray(x)), self)

    def counting(self, count: int) -> Gaussian:
        """As many components of the same structure on the same rows."""
        out = Gaussian.__new__(Gaussian)
        structure = Structure(self.structure.name, count, self.structure.d)
        _Gaussian.__init__(out, self.u, structure, self.frame, self.names)
        return out

    def features(self) -> np.ndarray:
        """The rows in working coordinates: (n, d)."""
        return self.u.T

    def sample(self, phi: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One row from the component of every label: (labels.size, d)."""
        root = self.at(phi[None]).root[0]
        mean = self.means(phi)
        z = rng.standard_normal((labels.size, self.d))
        out = np.empty_like(z)
        for k in range(self.count):
            out[labels == k] = mean[k] + z[labels == k] @ (self.frame.backward @ root[k]).T
        return out

    def means(self, phi: np.ndarray) -> np.ndarray:
        """Means in the user's units: (K, d)."""
        mean = self.structure.unpack(phi[None])[0][0]
        return np.asarray(self.frame.centre + mean @ self.frame.backward.T)

    def full_covariances(self, phi: np.ndarray) -> np.ndarray:
        """Covariances in the user's units: (K, d, d)."""
        root = self.frame.backward @ self.at(phi[None]).root[0]
        return np.asarray(root @ np.swapaxes(root, -1, -2))

    def covariances(self, phi: np.ndarray) -> np.ndarray:
        """Covariances as scikit-learn shapes them for its four structures, else (K, d, d)."""
        full, name = self.full_covariances(phi), self.structure.name
        if name == "EEE":
            return full[0]
        diagonal = np.diagonal(full, axis1=1, axis2=2)
        return {"VVI": diagonal.copy(), "VII": diagonal[:, 0].copy()}.get(name, full)

    def precisions_cholesky(self, phi: np.ndarray) -> np.ndarray:
        """Upper triangular U with precision U U' as scikit-learn has it, or roots of precisions; shaped alike."""
        covariance = self.covariances(phi)
        if self.structure.name in ("VVI", "VII"):
            return np.asarray(1.0 / np.sqrt(covariance))
        scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        lower = np.linalg.cholesky(covariance / scale[..., None] / scale[..., None, :]) * scale[..., None]
        return np.triu(np.swapaxes(np.linalg.inv(lower), -1, -2))

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """Components whose covariance has collapsed in some direction beside that of all rows."""
        root = self.at(phi[None]).root[0]
        out = []
        for k in range(self.count):
            value, vector = np.linalg.eigh(self._relative(root[k]))
            if not value[0] >= NARROW:
                column = self.names[int(np.argmax(np.abs(self._narrow(root[k], vector[:, 0]))))]
                out.append((k, (
                    f"component {k} has collapsed: its variance is {max(value[0], 0.0):.1e} of that of all rows in a "
                    f"direction that is mostly column {column!r} (duplicate or too few rows there); use fewer "
                    "components, a covariance_type with fewer parameters, or leave out duplicates"
                )))  # fmt: skip
        return out

    def narrowness(self, phi: np.ndarray) -> np.ndarray:
        """The least variance of every component in any direction, in thousandths of that of all rows: (K,).

        With a prior, infinity: how narrow a component may be, that says.
        """
        if self.prior is not None:
            return np.full(self.count, np.inf)
        root = self.at(phi[None]).root[0]
        return np.array([np.linalg.eigvalsh(self._relative(own))[0] for own in root]) * 1e3

    def _relative(self, root: np.ndarray) -> np.ndarray:
        """The covariance with this root, relative to the spread of all rows."""
        if self.structure.axes == "none":
            return np.diag(np.diag(root) ** 2 / np.diag(self.frame.spread))
        value, vector = self._spread
        inner = (vector / np.sqrt(value)).T @ root
        return np.asarray(inner @ inner.T)

    def _narrow(self, root: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """The coordinates of a direction of `_relative`."""
        if self.structure.axes == "none":
            return direction
        value, vector = self._spread
        return np.asarray(vector @ (direction / np.sqrt(value)))

    @cached_property
    def _spread(self) -> tuple[np.ndarray, np.ndarray]:
        value, vector = np.linalg.eigh(self.frame.spread)
        return np.maximum(value, 1e-30 * value[-1]), vector

    @cached_property
    def _least(self) -> float:
        """A variance that no direction of the rows is below, but for rounding."""
        if self.structure.axes == "none":
            return float(np.diag(self.frame.spread).min())
        return float(max(self._spread[0][0], 1e-12 * self._spread[0][-1]))

    def report(self, phi: np.ndarray) -> Parameters:
        """Means and the entries of the covariances in the user's units, component by component, shared ones last."""
        from .gaussian_report import report

        return report(self, phi)


__all__ = ["Gaussian"]
