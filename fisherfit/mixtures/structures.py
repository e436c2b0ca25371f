"""Structures of covariance matrices: volume, shape and orientation, each equal, variable, or of the identity.

Covariances are Sigma_k = Q_k diag(exp v_k) Q_k' (Banfield & Raftery, 1993; Celeux & Govaert, 1995). A name has three
letters: volume E or V, shape I, E or V, orientation I, E or V. v_k is linear in the coordinates: a volume and d - 1
contrasts of shape, each shared or not. Q_k is the identity, or unit lower triangular where shape and orientation go
together (Sigma_k up to its volume is then any matrix), or orthogonal where one of them is shared and the other is
not, as a Cayley transform (I + A)(I - A)^-1 of a skew A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError

WORDS = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
NAMES = (
    "EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Structure:
    """The covariances of K components in d dimensions as functions of coordinates.

    A component depends on, in this order: its mean, its own part of v, its own axes, the shared part of v, the shared
    axes.
    """

    name: str
    count: int
    d: int

    @cached_property
    def axes(self) -> str:
        """What Q is: "none", "triangular" or "orthogonal"."""
        if self.name[2] == "I":
            return "none"
        return "triangular" if self.name[1] == self.name[2] else "orthogonal"

    @property
    def group(self) -> str:
        """The linear maps that the structure is invariant under: "all", "columns" or "one" scale for all columns."""
        if self.axes == "triangular":
            return "all"
        return "columns" if self.axes == "none" and self.name[1] != "I" else "one"

    @cached_property
    def bases(self) -> tuple[np.ndarray, np.ndarray]:
        """What v_k has for every coordinate of its own part and of the shared part: (own, d) and (shared, d)."""
        d, volume, shape = self.d, self.name[0], self.name[1]
        one, nothing = np.ones((1, d)), np.empty((0, d))
        if volume == shape:
            return (np.eye(d), nothing) if volume == "V" else (nothing, np.eye(d))
        contrasts = nothing if shape == "I" else helmert(d)
        if volume == "V":
            return one, contrasts
        return (contrasts, one) if shape == "V" else (nothing, one)

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """Numbers of coordinates: own v, own axes, shared v, shared axes."""
        own, shared = self.bases
        pairs = 0 if self.axes == "none" else self.d * (self.d - 1) // 2
        varies = self.name[2] == "V"
        return len(own), pairs * varies, len(shared), pairs * (not varies)

    @property
    def own(self) -> int:
        """Coordinates of a component that are its own, the mean among them."""
        return self.d + self.sizes[0] + self.sizes[1]

    @property
    def common(self) -> int:
        """Coordinates that all components share."""
        return self.sizes[2] + self.sizes[3]

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.count * self.own + self.common

    @cached_property
    def lower(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the entries below the diagonal."""
        return np.tril_indices(self.d, -1)

    @cached_property
    def contrasts(self) -> np.ndarray:
        """d v / d coordinates of the covariance, zero for those of the axes: (p, d)."""
        own, shared = self.bases
        a, b, c, e = self.sizes
        out = np.zeros((a + b + c + e, self.d))
        out[:a], out[a + b : a + b + c] = own, shared
        return out

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """For every component, the coordinates that it depends on."""
        shared = self.count * self.own + np.arange(self.common)
        return tuple(np.concatenate([k * self.own + np.arange(self.own), shared]) for k in range(self.count))

    @cached_property
    def locations(self) -> np.ndarray:
        """The coordinates of the means."""
        return (self.own * np.arange(self.count)[:, None] + np.arange(self.d)).ravel()

    @cached_property
    def turns(self) -> np.ndarray:
        """The coordinates of orthogonal axes, of which spheres say nothing."""
        if self.axes != "orthogonal":
            return np.empty(0, int)
        a, b, c, e = self.sizes
        own = self.own * np.arange(self.count)[:, None] + self.d + a + np.arange(b)
        return np.concatenate([own.ravel(), self.count * self.own + c + np.arange(e)])

    def unpack(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means, v and the coordinates of the axes at points (S, size): (S, K, d), (S, K, d) and (S, K, pairs)."""
        points, split = len(phi), self.count * self.own
        own = phi[:, :split].reshape(points, self.count, self.own)
        shared = phi[:, split:]
        a, _, c, _ = self.sizes
        first, second = self.bases
        v = own[..., self.d : self.d + a] @ first + (shared[:, :c] @ second)[:, None]
        if self.name[2] == "V":
            turn = own[..., self.d + a :]
        else:
            turn = np.broadcast_to(shared[:, None, c:], (points, self.count, self.sizes[3]))
        return own[..., : self.d], v, turn

    def pack(self, mean: np.ndarray, v: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Points (S, size) from means, v and the coordinates of the axes, which obey the structure."""
        points = len(mean)
        a, b, c, e = self.sizes
        first, second = self.bases
        out = np.empty((points, self.size))
        own = out[:, : self.count * self.own].reshape(points, self.count, self.own)
        own[..., : self.d] = mean
        own[..., self.d : self.d + a] = v @ np.linalg.pinv(first) if a else 0.0
        rest = v.mean(axis=1)  # the own part is orthogonal to the shared one, or there is none
        shared = out[:, self.count * self.own :]
        shared[:, :c] = rest @ np.linalg.pinv(second) if c else 0.0
        if b:
            own[..., self.d + a :] = turn
        if e:
            shared[:, c:] = turn[:, 0]
        return out

    def axes_of(self, turn: np.ndarray) -> np.ndarray:
        """Q from its coordinates (..., pairs): (..., d, d)."""
        out = np.zeros((*turn.shape[:-1], self.d, self.d))
        if self.axes == "none":
            return out + np.eye(self.d)
        rows, columns = self.lower
        out[..., rows, columns] = turn
        if self.axes == "triangular":
            return out + np.eye(self.d)
        skew = out - np.swapaxes(out, -1, -2)
        return np.asarray(np.linalg.solve(np.eye(self.d) - skew, np.eye(self.d) + skew))

    def turns_of(self, q: np.ndarray) -> np.ndarray:
        """The coordinates of Q: what `axes_of` undoes. Columns of an orthogonal Q may change their sign."""
        rows, columns = self.lower
        if self.axes == "none":
            return np.zeros((*q.shape[:-2], 0))
        if self.axes == "triangular":
            return np.asarray(q[..., rows, columns])
        signed = q * signs(q)[..., None, :]
        eye = np.eye(self.d)
        skew = np.swapaxes(
            np.linalg.solve(np.swapaxes(signed + eye, -1, -2), np.swapaxes(signed - eye, -1, -2)), -1, -2
        )
        return np.asarray(skew[..., rows, columns])


def structure_of(word: str, count: int, d: int) -> Structure:
    """The structure by scikit-learn's word or by mclust's name."""
    name = WORDS.get(word, word) if isinstance(word, str) else word
    if name not in NAMES:
        raise InputError(f"covariance_type {word!r} is not known; expected one of {', '.join([*WORDS, *NAMES])}")
    return Structure(name, count, d)


def helmert(d: int) -> np.ndarray:
    """An orthonormal basis of the vectors that sum to zero: (d - 1, d)."""
    out = np.zeros((d - 1, d))
    for j in range(1, d):
        out[j - 1, :j] = 1.0
        out[j - 1, j] = -j
        out[j - 1] /= np.sqrt(j * (j + 1.0))
    return out


def signs(q: np.ndarray) -> np.ndarray:
    """Signs of the columns of orthogonal matrices that make I + Q well conditioned: (..., d).

    Those of the pivots in the elimination of Q + S, which are then at least 1 (Ballard et al., 2014, IPDPS).
    """
    rest, d = q.copy(), q.shape[-1]
    out = np.ones(q.shape[:-1])
    for j in range(d):
        pivot = rest[..., j, j]
        out[..., j] = np.where(pivot < 0.0, -1.0, 1.0)
        step = rest[..., j + 1 :, j] / (pivot + out[..., j])[..., None]
        rest[..., j + 1 :, j + 1 :] -= step[..., :, None] * rest[..., j, None, j + 1 :]
    return out


__all__ = ["NAMES", "WORDS", "Structure", "helmert", "signs", "structure_of"]
