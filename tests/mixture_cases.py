"""The certified mixtures as problems of the package: regressions and univariate families."""

import numpy as np
import pandas as pd

from fisherfit import _threads
from fisherfit.families import StudentT, get_family
from fisherfit.kernels import kernels_of
from fisherfit.links import get_link
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture
from fisherfit.mixtures.regressions import Regressions
from fisherfit.table import read_table
from fisherfit.terms import choose_columns

#: from the second parameter of a family to that of the reference: the power of it
POWERS = {"gaussian": 1.0, "gamma": 1.0, "negative_binomial": -1.0, "beta": 1.0, "student_t": 1.0}


def family_of(name, nu=None):
    """A family whose parameters are all free."""
    if name == "student_t":
        return StudentT(df=nu)
    family = get_family({"gaussian": "normal"}.get(name, name))
    return family.with_dispersion() if name in ("gaussian", "gamma") else family


def regressions(family, k, y, x=None, *, link=None, trials=None, offset=None, shared=()):
    """K regressions of y on the columns of x and an intercept."""
    y = np.asarray(y, float)
    x = np.empty((y.size, 0)) if x is None else np.asarray(x, float)
    frame = pd.DataFrame(x, columns=[f"x{j + 1}" for j in range(x.shape[1])], index=range(y.size))
    table = read_table(frame)
    design = choose_columns(table, True).learn(table, None).design(table, None)
    links = [get_link(link or family.default_link(next(iter(family.parameters))))]
    links += [get_link(family.default_link(name)) for name in list(family.parameters)[1:]]
    columns = np.zeros(design.width, bool)
    columns[list(shared)] = True
    trials = np.ones(y.size) if trials is None else np.asarray(trials, float)
    return Regressions((kernels_of(family, tuple(links)),) * k, design, y, trials, offset, columns)


def mixture(components, *, weight=None, concomitant=None, groups=None, threads=1):
    """A mixture, of units that are rows or groups of them (rows of a group stand together)."""
    edges, units = None, components.n
    if groups is not None:
        edges = np.append(np.flatnonzero(np.r_[True, np.diff(groups) != 0]), components.n)
        units = edges.size - 1
    weight = np.ones(units) if weight is None else np.asarray(weight, float)
    names = ("Intercept",) if concomitant is None else tuple(f"z{j}" for j in range(concomitant.shape[1]))
    return Mixture(components, Mixing(components.count, concomitant, names), weight, edges, threads)


def reachable(case):
    """True for a case that Gaussian components, regressions and univariate families have."""
    return case["structure"] != "product"


def problem(case, threads=1):
    """The mixture of a case."""
    if case["structure"] in ("full", "tied", "diag", "spherical"):
        x = np.asarray(case["X"], float)
        return mixture(
            Gaussian(x, case["n_components"], case["structure"], case["columns"]),
            weight=case["weights"],
            threads=threads,
        )
    array = lambda key: None if case[key] is None else np.asarray(case[key], float)  # noqa: E731
    y = array("y")
    x = array("X")[:, 1:] if case["structure"] == "regression" else None
    order = slice(None) if case["groups"] is None else np.argsort(case["groups"], kind="stable")
    pick = lambda a: None if a is None else a[order]  # noqa: E731
    trials = pick(array("size"))
    y = pick(y) if trials is None else pick(y) / trials
    family = family_of(case["family"], case["nu"])
    link = case["link"] if case["structure"] == "regression" else None
    components = regressions(
        family, case["n_components"], y, pick(x), link=link, trials=trials, offset=pick(array("offset")),
        shared=case["shared_columns"] or (),
    )  # fmt: skip
    groups = None if case["groups"] is None else np.asarray(case["groups"])[order]
    return mixture(
        components, weight=array("weights"), concomitant=array("concomitant"), groups=groups, threads=threads
    )  # fmt: skip


def labels(case):
    """The labels of a case's start, by unit."""
    label = np.asarray(case["start"]["labels"])
    if case["groups"] is not None and label.size == case["n_obs"]:
        order = np.argsort(case["groups"], kind="stable")
        groups = np.asarray(case["groups"])[order]
        label = label[order][np.r_[True, np.diff(groups) != 0]]
    return label


def quiet():
    """The state of the world in which passes run."""
    return _threads.single_threaded_blas(), np.errstate(all="ignore")
