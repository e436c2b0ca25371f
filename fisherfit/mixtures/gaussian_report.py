"""The parameters of Gaussian components in the user's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .parameters import Parameters

if TYPE_CHECKING:
    from .gaussian import Gaussian


def report(components: Gaussian, phi: np.ndarray) -> Parameters:
    """Means and what is free of the covariances, by their entries: component by component, shared ones last.

    `mean[k,col]`, then by structure `cov[k,a,b]` (the lower triangle), `cov[a,b]` (EEE), `var[k,a]` (diagonal),
    `var[a]` (EEI), `var[k]` (VII) or `var` (EII).
    """
    structure, names, d = components.structure, components.names, components.d
    point = components.at(phi[None])
    centre = components.means(phi)
    values, labels, rows, supports = [], [], [], []
    diagonal = structure.axes == "none"
    shared = structure.name in ("EII", "EEI", "EEE")
    kinds = _entries(structure.name, d)
    for k in range(components.count + shared):
        at = structure.places[k % components.count]
        if k < components.count:
            for j in range(d):
                row = np.zeros(components.size)
                row[at[:d]] = components.frame.backward[j]
                labels.append(f"mean[{k},{names[j]}]")
                values.append(centre[k, j])
                rows.append(row)
                supports.append("real")
        if shared != (k == components.count):
            continue
        own = k % components.count
        root = components.frame.backward @ point.root[0, own]
        covariance, slope = root @ root.T, root @ point.derivatives[own].e @ root.T
        for a, b in kinds:
            row = np.zeros(components.size)
            row[at[d:]] = slope[:, a, b]
            index = [] if shared else [str(k)]
            if structure.name[1] != "I":
                index += [names[a]] if diagonal else [names[a], names[b]]
            labels.append(("var" if diagonal else "cov") + (f"[{','.join(index)}]" if index else ""))
            values.append(covariance[a, b])
            rows.append(row)
            supports.append("positive" if a == b else "real")
    return Parameters(tuple(labels), np.array(values), np.stack(rows), tuple(supports))


def _entries(name: str, d: int) -> list[tuple[int, int]]:
    """The entries of a covariance that are reported."""
    if name[1] == "I":
        return [(0, 0)]
    if name[2] == "I":
        return [(a, a) for a in range(d)]
    return [(a, b) for a in range(d) for b in range(a + 1)]


__all__ = ["report"]
