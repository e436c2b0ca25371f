"""The distribution of a new response at each of some rows, with the uncertainty of the parameters.

Given the parameters a response follows the family. The linear predictor is normal about its estimate. An estimated
dispersion is phi^ df / chi2(df) and scales the variance of the linear predictor as well, so that for the normal family
the result is Student's t with variance phi^ (1 + h), the textbook interval. Further parameters such as alpha are
normal on the scale where they are unbounded, with their covariance with the linear predictor.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from .choices import check_level
from .densities import log_densities
from .errors import InputError, InputTypeError
from .families import Family, Normal
from .mixing import chi2_nodes, continuous_quantile, normal_nodes, whole_quantile
from .nodes import Coordinate, Further, Nodes, inside, log_student
from .randomness import generator
from .response import own
from .tangents import curve_of_mean, link_rows
from .uncertain import Predicted

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 1_000_000  # numbers in a matrix of rows times nodes


class PredictiveDistribution:
    """The distribution of a new response at each row of a table.

    Made by :meth:`GLM.predict_distribution <fisherfit.GLM.predict_distribution>`. Functions of y take a number, an
    array with a value for every row, or one that broadcasts against the rows along its last axis.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    parameter_uncertainty : bool
        Whether the uncertainty of the parameters is part of it.

    Examples
    --------
    >>> import fisherfit as ff
    >>> quine = ff.datasets.load("quine")
    >>> model = ff.GLM(formula="days ~ eth + sex", family="negative_binomial").fit(quine)
    >>> new = model.predict_distribution(quine.head(2))
    >>> new.pmf(0).round(4).tolist(), new.ppf(0.5).tolist()
    ([0.0289, 0.0289], [17.0, 17.0])
    >>> new.interval(0.9)
       lower  upper
    0    1.0   70.0
    1    1.0   70.0
    """

    def __init__(self, rows: Predicted, weight: np.ndarray | None, parameter_uncertainty: bool) -> None:
        self._rows = rows
        self.family: Family = rows.family
        self.n_rows = int(rows.eta.size)
        self.parameter_uncertainty = bool(parameter_uncertainty)
        self.discrete = bool(self.family.support.integer or self.family.takes_trials)
        weight = np.ones(self.n_rows) if weight is None else weight
        self._trials = np.rint(weight) if self.family.takes_trials else np.ones(self.n_rows)
        self._phi = None
        if self.family.has_dispersion:
            self._phi = rows.result.dispersion / weight
        elif self.family.takes_trials:
            self._phi = 1.0 / self._trials
        variance = rows.variance if self.parameter_uncertainty else np.where(np.isnan(rows.variance), np.nan, 0.0)
        self._se = np.where(np.isinf(variance), np.nan, np.sqrt(variance))
        df = rows.df if self.parameter_uncertainty and self.family.has_dispersion else None
        self._df = None if df is None or df > 1e12 else float(df)

    # the mixture

    @cached_property
    def _further(self) -> Further:
        return Further.of(self._rows, self.parameter_uncertainty)

    def _spacing(self, rows: np.ndarray) -> float:
        """The distance of nodes: fine where the family is narrow beside the uncertainty of its mean."""
        se = self._se[rows]
        mu, slope, _ = curve_of_mean(self._rows.predictor, self._rows.eta[rows])
        with np.errstate(all="ignore"):
            ratio = se * np.abs(slope) / np.sqrt(self._variance_at(mu, rows))
        worst = float(np.max(ratio[np.isfinite(ratio)], initial=0.0))
        widest = float(np.max(se[np.isfinite(se)], initial=0.0))
        if self._df is not None:  # a large dispersion widens both, but not the strip where the link is analytic
            widest /= np.sqrt(special.chdtri(self._df, 1.0 - 1e-5) / self._df)
        return min(0.8 / np.sqrt(1.0 + worst * worst), 0.4 / widest if widest > 0.0 else 1.0)

    def _variance_at(self, mu: np.ndarray, rows: np.ndarray) -> np.ndarray:
        others = [np.full(mu.shape, v) for v in self._rows.predictor.others.tolist()]
        try:
            if self._phi is None:
                return np.asarray(self.family.variance(mu, *others), float)
            return np.asarray(self.family.variance(mu, *others, self._phi[rows]), float)
        except NotImplementedError:
            return np.maximum(mu * mu, 1.0)

    def _nodes(self, rows: np.ndarray, moments: bool = False) -> Nodes:
        """Parameters at the nodes, matrices of rows times nodes, and the weights of the nodes."""
        eta, se = self._rows.eta[rows], self._se[rows]
        phi = None if self._phi is None else self._phi[rows]
        if self.parameter_uncertainty and np.any(se > 0.0):
            z, weight = normal_nodes(self._spacing(rows))
        else:
            z, weight = np.zeros(1), np.ones(1)
        s = np.ones(1)
        if self._df is not None and not moments:
            s, share = chi2_nodes(self._df)
            z, s, weight = np.repeat(z, s.size), np.tile(s, z.size), np.outer(weight, share).ravel()
        else:
            s = np.ones(z.size)
        w, outer = self._further.nodes()
        at, further = np.repeat(np.arange(z.size), outer.size), np.tile(np.arange(outer.size), z.size)
        weight = weight[at] * outer[further]
        points = eta[:, None] + se[:, None] * (z / np.sqrt(s))[at]
        theta, complement, _, _ = link_rows(self._rows.predictor.links[0], points.ravel())
        low, high = self._rows.predictor.links[0].eta_bounds
        support = next(iter(self.family.parameters.values()))
        theta = np.where(np.isfinite(points.ravel()), inside(theta, points.ravel(), low, high, support), np.nan)
        if support == "unit":
            complement = np.clip(np.where(np.isnan(complement), 1.0 - theta, complement), 0.0, 1.0)
        parameters = [theta.reshape(points.shape)]
        parameters += [value[:, at, further] for value in self._further.at(rows, z, w)]
        if phi is not None:
            phi = phi[:, None] / s[at]
        return Nodes(parameters, complement.reshape(points.shape), phi, weight)

    def _mixed(self, function: Any, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The mean over the nodes of function(y, nodes), for values of y and the rows that they belong to."""
        out = np.empty(rows.size)
        step = max(1, CHUNK // max(1, self._size_of_nodes))
        for start in range(0, rows.size, step):
            part = slice(start, start + step)
            nodes = self._nodes(rows[part])
            with np.errstate(all="ignore"):
                out[part] = function(y[part, None], nodes)
        return out

    @cached_property
    def _size_of_nodes(self) -> int:
        if not self.n_rows:
            return 1
        count = normal_nodes(self._spacing(np.arange(self.n_rows)))[0].size if self.parameter_uncertainty else 1
        count *= chi2_nodes(self._df)[0].size if self._df is not None else 1
        return int(count * self._further.nodes()[1].size)

    def _broadcast(self, y: Any, what: str, function: Any) -> np.ndarray:
        """function(y of every row) along all other axes of y."""
        try:
            y = np.asarray(y, float)
        except (ValueError, TypeError):
            raise InputTypeError(f"{what}: expected numbers, got {type(y).__name__}") from None
        try:
            shape = np.broadcast_shapes(y.shape, (self.n_rows,))
        except (ValueError, TypeError):
            raise InputError(f"{what}: expected a number or an array whose last axis has one value for each of the "
                             f"{self.n_rows} rows, got shape {np.shape(y)}") from None  # fmt: skip
        flat = np.broadcast_to(y, shape).ravel()
        if not flat.size:
            return np.empty(shape)
        return np.asarray(function(flat, np.tile(np.arange(self.n_rows), flat.size // self.n_rows))).reshape(shape)

    @property
    def _student(self) -> tuple[np.ndarray, np.ndarray, float | None] | None:
        """Location, scale and degrees of freedom where the distribution is Student's t or normal: identity link."""
        if not isinstance(self.family, Normal) or self._rows.predictor.links[0].name != "identity":
            return None
        assert self._phi is not None
        return self._rows.eta, np.sqrt(self._phi + self._se**2), self._df

    # what is asked

    def mean(self) -> np.ndarray:
        """The mean of every row's response.

        With a link that is not the identity this is not ``predict(X)``: the mean of a curved function of an uncertain
        linear predictor differs from its value at the estimate. Where the dispersion is estimated, mean and variance
        are taken at the estimate: with a log link and Student's t the integrals would be infinite.
        """
        return self._moments[0].copy()

    def variance(self) -> np.ndarray:
        """The variance of every row's response; for Student's t infinite with no more than 2 degrees of freedom."""
        return self._moments[1].copy()

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        student = self._student
        if student is not None:
            factor = 1.0 if student[2] is None else student[2] / (student[2] - 2.0) if student[2] > 2.0 else np.inf
            return student[0], student[1] ** 2 * factor
        try:
            self.family.variance(*[np.array([0.5])] * len(self.family.parameters))
        except NotImplementedError as error:
            raise InputError(str(error)) from None
        mean, variance = np.empty(self.n_rows), np.empty(self.n_rows)
        step = max(1, CHUNK // max(1, self._size_of_nodes))
        for start in range(0, self.n_rows, step):
            rows = np.arange(start, min(start + step, self.n_rows))
            nodes = self._nodes(rows, moments=True)
            with np.errstate(all="ignore"):
                mu = np.asarray(self.family.mean(*nodes.theta), float)
                inner = np.asarray(self.family.variance(*nodes.arguments), float)
                mean[rows] = np.sum(mu * nodes.weight, axis=1)
                spread = (mu - mean[rows, None]) ** 2
                variance[rows] = np.sum((inner + spread) * nodes.weight, axis=1)
        return mean, variance

    def cdf(self, y: Any) -> np.ndarray:
        """P(Y <= y).

        Raises
        ------
        InputError
            For a family of one's own that has no ``cdf``.
        """
        return self._broadcast(y, "y", self._cdf)

    def _cdf(self, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        student = self._student
        if student is not None:
            location, scale, df = student
            t = (y - location[rows]) / scale[rows]
            return np.asarray(special.ndtr(t) if df is None else special.stdtr(df, t))
        self._need("cdf")
        family: Any = self.family
        mixed = self._mixed(lambda v, nodes: np.sum(family.cdf(v, *nodes.arguments) * nodes.weight, axis=1), y, rows)
        return np.clip(mixed, 0.0, 1.0)

    def logpdf(self, y: Any) -> np.ndarray:
        """The logarithm of the density at y; for a family with an atom, such as Tweedie's 0, of its probability there.

        Raises
        ------
        InputError
            For a family of whole numbers or proportions, which has a `pmf`.
        """
        if self.discrete:
            raise InputError(f"the {self.family.name} distribution has no density; use pmf or logpmf")
        return self._broadcast(y, "y", self._log_density)

    def pdf(self, y: Any) -> np.ndarray:
        """The density at y; see `logpdf`."""
        return np.exp(self.logpdf(y))

    def logpmf(self, y: Any) -> np.ndarray:
        """The logarithm of P(Y = y); for the binomial family y is a proportion of the trials.

        Raises
        ------
        InputError
            For a family with a density, which has a `pdf`.
        """
        if not self.discrete:
            raise InputError(f"the {self.family.name} distribution has a density; use pdf or logpdf")
        return self._broadcast(y, "y", self._log_density)

    def pmf(self, y: Any) -> np.ndarray:
        """P(Y = y); see `logpmf`."""
        return np.exp(self.logpmf(y))

    def _log_density(self, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self.family.takes_trials:  # a proportion that no number of successes makes has probability 0
            trials = self._trials[rows]
            count = y * trials
            whole = np.abs(count - np.rint(count)) <= 1e-9 * (1.0 + np.abs(count))
            y = np.where(whole, np.rint(count) / trials, -1.0)
        student = self._student
        if student is not None:
            return log_student(y, student[0][rows], student[1][rows], student[2])

        def mixed(v: np.ndarray, nodes: Nodes) -> np.ndarray:
            each = log_densities(
                self.family, np.broadcast_to(v, nodes.complement.shape), nodes.theta, nodes.complement, nodes.phi
            )
            each = np.where(np.isnan(each), -np.inf, each) if np.isfinite(v).all() else each
            return np.asarray(special.logsumexp(each, axis=1, b=nodes.weight))

        value = self._mixed(mixed, y, rows)
        return np.where(np.isnan(self._se + self._rows.eta)[rows], np.nan, value)

    def ppf(self, probability: Any) -> np.ndarray:
        """The least y with P(Y <= y) >= probability: the quantile.

        Raises
        ------
        InputError
            For a family of one's own that has no ``cdf``.
        """
        return self._broadcast(probability, "probability", self._ppf)

    def _ppf(self, p: np.ndarray, rows: np.ndarray) -> np.ndarray:
        p = np.where((p >= 0.0) & (p <= 1.0), p, np.nan)
        student = self._student
        if student is not None:
            t = special.ndtri(p) if student[2] is None else special.stdtrit(student[2], p)
            t = np.where(p == 0.0, -np.inf, np.where(p == 1.0, np.inf, t))
            return np.asarray(student[0][rows] + student[1][rows] * t)
        self._need("cdf")
        support = self.family.support
        low, high = (0.0, 1.0) if self.family.takes_trials else (support.lower, support.upper)
        mu = self._rows.predictor.mean(self._rows.eta)
        with np.errstate(all="ignore"):
            sd = np.sqrt(self._variance_at(mu, np.arange(self.n_rows)) + self._rows.error_of_mean**2)
            sd = np.where(np.isfinite(sd) & (sd > 0.0), sd, 1.0)[rows]
            start = np.where(np.isnan(self._se), np.nan, mu)[rows]
            guess = start + sd * special.ndtri(np.clip(p, 1e-9, 1.0 - 1e-9))
        if self.discrete:
            trials = self._trials[rows]
            top = trials if self.family.takes_trials else np.full(rows.size, high)
            out = whole_quantile(
                lambda k, at: self._cdf(k / trials[at], rows[at]), p, np.rint(guess * trials), low, top
            )
            out = out / trials
        else:
            coordinate = Coordinate(low, high)
            z, scale = coordinate.of(start, sd)
            out = continuous_quantile(lambda y, at: self._cdf(y, rows[at]), p, z, scale, coordinate.y)
            if np.isfinite(low) and not support.lower_open:
                out = np.where(p <= self._cdf(np.full(rows.size, low), rows), low, out)
        out = np.where(p == 0.0, low, np.where(p == 1.0, high, out))
        return np.where(np.isnan(start) | np.isnan(p), np.nan, out)

    def interval(self, level: float = 0.95) -> pd.DataFrame:
        """Equal-tailed intervals for a new response.

        Of a discrete response an interval has at least the probability `level`, both ends included.

        Parameters
        ----------
        level : float
            Probability, strictly between 0 and 1.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower`` and ``upper``, by the row labels of X.
        """
        check_level(level)
        return self._rows.frame({"lower": self.ppf(0.5 - 0.5 * level), "upper": self.ppf(0.5 + 0.5 * level)})

    def sample(self, size: int | None = None, random_state: Any = None) -> np.ndarray:
        """Draw responses; every draw has parameters of its own.

        Parameters
        ----------
        size : int, optional
            Draws for every row.
        random_state : int or numpy.random.Generator, optional
            Seed or generator.

        Returns
        -------
        array of shape (m,), or (size, m)
        """
        self._need("sample")
        if size is not None and (isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0):
            raise InputError(f"size must be a whole number of at least 0, got {size!r}")
        rng = generator(random_state)
        count = 1 if size is None else int(size)
        draws = np.stack([self._draw(rng) for _ in range(count)]) if count else np.empty((0, self.n_rows))
        return draws[0] if size is None else draws

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        rows = np.arange(self.n_rows)
        known = ~np.isnan(self._se)
        s = rng.chisquare(self._df, self.n_rows) / self._df if self._df is not None else np.ones(self.n_rows)
        z = rng.standard_normal(self.n_rows)
        eta = self._rows.eta + np.where(known, self._se, 0.0) * z / np.sqrt(s)
        link = self._rows.predictor.links[0]
        support = next(iter(self.family.parameters.values()))
        with np.errstate(all="ignore"):
            first = inside(link.mean(eta), eta, *link.eta_bounds, support)
        arguments = [first, *self._further.draw(rows, z, rng)]
        if self._phi is not None:
            arguments.append(self._phi / s)
        family: Any = self.family
        return np.where(known, np.asarray(family.sample(rng, *arguments), float), np.nan)

    def _need(self, name: str) -> None:
        if not hasattr(self.family, name):
            raise InputError(
                f"the family {self.family.name} has no {name}; define {name}({'rng' if name == 'sample' else 'y'}, "
                f"{', '.join(self.family.parameters)}) to use it"
            )

    def __repr__(self) -> str:
        what = "with" if self.parameter_uncertainty else "without"
        return f"PredictiveDistribution({self.family!r}, {self.n_rows} rows, {what} parameter uncertainty)"


def distribution(rows: Predicted, weight: np.ndarray | None, parameter_uncertainty: bool) -> PredictiveDistribution:
    """The distribution of new responses, after checks.

    Raises
    ------
    InputError
        For a quasi- fit, which has no distribution, and for weights that say nothing of a new response.
    """
    family, result = rows.family, rows.result
    if not family.has_dispersion and (result.dispersion_method != "fixed" or result.dispersion != 1.0):
        raise InputError(
            f"a quasi-{family.name} fit (dispersion {result.dispersion:.6g}) has a variance but no distribution, so "
            "that nothing is known of single responses; kind='mean' works, and so does a family with more dispersion"
        )
    if family.has_dispersion and not result.dispersion > 0.0:
        raise InputError(f"the dispersion is {result.dispersion:g}, so that new responses have no distribution; "
                         "give GLM a dispersion=, or fit with residual degrees of freedom")  # fmt: skip
    if weight is not None:
        weight = own(weight)
        if not (family.has_dispersion or family.takes_trials):
            raise InputError(
                f"sample_weight: a new response of the {family.name} family has no weight; leave it out "
                "(an exposure goes into exposure=)"
            )
        if family.has_dispersion and result.weight_type != "analytic":
            raise InputError(f"sample_weight: with weight_type={result.weight_type!r} weights say how many rows "
                             "there are, not how precise a new response is; leave it out")  # fmt: skip
        low = weight <= 0.0
        uneven = (weight != np.rint(weight)) if family.takes_trials else np.zeros(weight.size, bool)
        for wrong, what in ((low, "greater than 0"), (uneven, "whole numbers of trials")):
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise InputError(f"sample_weight has {weight[row]:g} at row {row}; for new responses of the "
                                 f"{family.name} family weights must be {what}")  # fmt: skip
    return PredictiveDistribution(rows, weight, parameter_uncertainty)


__all__ = ["PredictiveDistribution", "distribution"]
