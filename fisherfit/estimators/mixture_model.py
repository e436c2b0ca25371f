"""Mixtures of any families: one column, or several that are independent given the component (latent classes)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads, labelled
from ..errors import InputError, InputTypeError
from ..mixtures.categorical import Column
from ..mixtures.fitting import MixtureFit, fit_mixture
from ..mixtures.marginals import is_table
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..mixtures.patterns import PatternFit
from ..table import Table
from .density import Density, Learnt, weights_of, whole_rows
from .density_checks import check_common, check_distinct, random_generator
from .mixed import More
from .mixture_columns import Plan, check_support, families_of, numbers_of, plan_columns, rows_of

if TYPE_CHECKING:
    import pandas as pd


class MixtureModel(Density):
    """Finite mixture of any families by maximum likelihood, with standard errors.

    Columns are independent given the component: with Bernoulli or categorical columns that is latent class analysis,
    and columns of different kinds may stand side by side.

    Parameters
    ----------
    family : str, Family, list or dict, default "normal"
        One family for all columns, or a list with one for each column, or a dictionary from columns to families: names
        (``"poisson"``, ``"gamma"``, ``"student_t"``, ...), `Family` objects, a user's own included, or
        ``"categorical"``. Columns of text and categories are categorical where one family is given for all. Further
        parameters (a standard deviation, a shape) are those of each component.
    n_components : int, default 1
        Number of components.
    by_component : bool, default False
        `family` is a list with one entry for each component, each of which is a family, a list or a dictionary as
        above: components of different families.
    cov_type : str, default "observed"
        Where standard errors come from: the "observed" information (Louis, 1982), "opg" (outer products of the
        scores), "HC0" or "HC1" (a model that need not be true), "cluster" (`clusters` of rows that go together;
        "cluster(CR0)" without a correction) or "HAC" (rows in time order; "HAC(8)" for 8 lags).
    n_init : int, default 10
        Starts from clusters, and as many random ones; all run together, and the best local maximum wins.
    max_iter : int, default 500
        Steps of the final ascent at the most.
    tol : float, default 1e-20
        Newton decrement, twice the log-likelihood still to gain, at which the ascent stops.
    random_state : int, Generator or RandomState, optional
        Where the starts come from.
    n_jobs : int, optional
        Threads; None for all cores.
    verbose : int, default 0
        1 for a line for every start that was followed.

    Attributes
    ----------
    weights_ : array of shape (n_components,)
        Proportions of the components.
    params_ : DataFrame
        A row for every component, a column for every parameter.
    result_ : MixtureResult
        Estimates with standard errors, intervals and criteria.
    converged_, n_iter_, n_features_in_, feature_names_in_
        As everywhere.

    Notes
    -----
    Parameters are called ``weight[0]``, ``mean[0]``, and with several columns ``mean[0,column]``: `mean` of all
    families but the Student t and von Mises, whose `mean` is their centre; `sigma` is a standard deviation, `shape` of
    the gamma family 1 / dispersion, `alpha` of the negative binomial that of Var(y) = mu + alpha mu^2 (its `size` is
    1 / alpha), `scale` of the Student t, `kappa` of the von Mises, `precision` of the beta family; ``prob[0,item]`` is
    the probability of 1, ``prob[0,item=level]`` that of a level. Components stand in ascending order of the first.

    A probability of 0 or 1 in a class is a maximum on the edge of the parameter space: it is reported as such with a
    `BoundaryWarning`, and has no standard error.

    Examples
    --------
    Notices of deaths of women of 80 and more in The Times, as days with 0, 1, ... 9 notices:

    >>> import numpy as np, fisherfit as ff
    >>> deaths = np.arange(10)[:, None]
    >>> days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> model = ff.MixtureModel("poisson", 2, random_state=0).fit(deaths, sample_weight=days)
    >>> print(model.params_.round(3))
        mean
    0  1.256
    1  2.663
    >>> print(model.result_.bse.round(3).to_dict())
    {'weight[0]': 0.195, 'weight[1]': 0.195, 'mean[0]': 0.35, 'mean[1]': 0.25}
    """

    def __init__(
        self,
        family: Any = "normal",
        n_components: int = 1,
        *,
        by_component: bool = False,
        cov_type: str = "observed",
        n_init: int = 10,
        max_iter: int = 500,
        tol: float = 1e-20,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.family = family
        self.n_components = n_components
        self.by_component = by_component
        self.cov_type = cov_type
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn(self, table: Table, weight: np.ndarray) -> Learnt:
        if not isinstance(self.by_component, (bool, np.bool_)):
            raise InputTypeError(f"by_component must be True or False, got {self.by_component!r}")
        count = int(self.n_components) if isinstance(self.n_components, (int, np.integer)) else 0
        check_common(self, table.n, weight)
        plan, values = plan_columns(table, self.family, count, bool(self.by_component), weight)
        check_distinct(values, count)
        components: Any = plan.components(values)
        mixture = Mixture(
            components, Mixing(count), np.ascontiguousarray(weight[weight > 0.0]), None,
            _threads.thread_count(self.n_jobs),
        )  # fmt: skip
        return Learnt(mixture, table.names, table.is_frame, f"Mixture of {self.n_components} components", plan)

    def _climb(self, learnt: Learnt, more: More | None = None) -> MixtureFit:
        mixture = learnt.mixture
        return fit_mixture(
            mixture, model=learnt.model, rng=random_generator(self.random_state), n_init=int(self.n_init),
            max_iter=int(self.max_iter), tol=float(self.tol), more=() if more is None else more(mixture),
        )  # fmt: skip

    def _on(self, learnt: Learnt, table: Table) -> Any:
        return learnt.more.read(table, type(self).__name__)

    def _check_rows(self, table: Table, weight: np.ndarray) -> set[str]:
        """Refuse values that a family cannot have; the columns that are tables of probabilities."""
        by_row = families_of(table, self.family, int(self.n_components), bool(self.by_component))
        present, tables = weight > 0.0, set()
        for j, name in enumerate(table.names):
            for family in dict.fromkeys(row[j] for row in by_row):
                if is_table(family):
                    tables.add(name)
                else:
                    check_support(numbers_of(table, name), name, family, present)
        return tables

    def _attributes_of(self, learnt: Learnt, fit: MixtureFit) -> dict[str, Any]:
        return self._attributes(learnt.more, learnt.mixture, fit)

    def _drawn(self, mixture: Mixture, rng: np.random.Generator) -> Mixture:
        n, components = whole_rows(mixture), mixture.components
        counts = rng.multinomial(n, self.weights_ / self.weights_.sum())
        drawn = self._columns_drawn(components, mixture.split(self._theta)[1], counts, rng)
        own: Any = self._plan.components(drawn)
        return replace(mixture, components=own, weight=np.ones(n))

    def _attributes(self, plan: Plan, mixture: Mixture, fit: Any) -> dict[str, Any]:
        result, count = fit.result, plan.count
        columns: dict[str, np.ndarray] = {}
        for name, value in zip(result.names[count:], result.estimates[count:], strict=True):
            head, _, inside = name.partition("[")
            k, _, rest = inside[:-1].partition(",")
            columns.setdefault(f"{head}[{rest}]" if rest else head, np.full(count, np.nan))[int(k)] = value
        return {
            "weights_": result.estimates[:count].copy(),
            "_table": (tuple(columns), np.column_stack(list(columns.values()))),
            "n_features_in_": len(plan.names),
            "_plan": plan,
        }

    @property
    def params_(self) -> pd.DataFrame:
        """The parameters: a row for every component."""
        self._check_fitted()
        names, values = self._table
        frame = labelled.frame(values, [str(k) for k in range(len(values))], names)
        return frame.reset_index(drop=True)

    def _log_joint(self, X: Any) -> np.ndarray:
        plan: Plan = self._plan
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            components = plan.read(X, type(self).__name__)
            mixing = Mixing(plan.count)
            psi, phi = self._theta[: mixing.size], self._theta[mixing.size :]
            point, size = components.at(phi[None]), 65_536
            parts = [
                point.rows(a, min(a + size, components.n), False).log_density[0].T for a in range(0, components.n, size)
            ]
            return np.concatenate(parts) + mixing.log_weights(psi[None], 0, 1)[0, :, 0]

    def patterns(self, X: Any, sample_weight: Any = None) -> PatternFit:
        """How well latent classes fit the table of patterns of answers, as in poLCA.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        sample_weight : array of shape (n_samples,) or str, optional
            Frequencies, as in :meth:`fit`.

        Returns
        -------
        PatternFit
            With ``g2``, ``chi2``, ``df``, ``p_values``, and ``to_frame()``: the patterns that were seen, with their
            counts, observed and expected.

        Raises
        ------
        InputError
            Where a column is no table of probabilities (Bernoulli or categorical).

        Examples
        --------
        >>> import fisherfit as ff
        >>> answers = ff.datasets.load("stouffer_toby")
        >>> model = ff.MixtureModel("bernoulli", 2, random_state=0).fit(answers, sample_weight="respondents")
        >>> model.patterns(answers, sample_weight="respondents")
        PatternFit(G2(6) = 2.72, p = 0.84; chi2(6) = 2.72, p = 0.84; 16 of 16 patterns seen)
        """
        self._check_fitted()
        plan: Plan = self._plan
        columns = [spec for spec in plan.specs if isinstance(spec, Column)]
        if len(columns) < len(plan.specs):
            name = next(n for n, spec in zip(plan.names, plan.specs, strict=True) if not isinstance(spec, Column))
            raise InputError(f"patterns are of Bernoulli and categorical columns, and {name!r} is none")
        table, weight = weights_of(rows_of(X), sample_weight)
        codes = plan.read(table, type(self).__name__).parts[0].codes.T
        found, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        observed = np.bincount(which.ravel(), weight, len(found))
        expected = weight.sum() * np.exp(self.score_samples(table)[first])
        seen = observed > 0.0
        cells = int(np.prod([len(column.levels) for column in columns], dtype=object))
        rows = tuple(
            tuple(column.levels[code] for column, code in zip(columns, row, strict=True)) for row in found[seen]
        )
        df = cells - 1 - (self.result_.n_params - len(self._held))
        return PatternFit(plan.names, rows, observed[seen], expected[seen], cells, df)

    def sample(self, n_samples: int = 1) -> tuple[Any, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default 1

        Returns
        -------
        X : array of shape (n_samples, n_features), or a DataFrame where the fit had a table
            Rows, component by component.
        y : array of int, shape (n_samples,)
            The components they come from.
        """
        self._check_fitted()
        if isinstance(n_samples, bool) or not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
            raise InputError(f"n_samples must be a whole number of at least 1, got {n_samples!r}")
        plan: Plan = self._plan
        rng = random_generator(self.random_state)
        counts = rng.multinomial(n_samples, self.weights_ / self.weights_.sum())
        phi = self._theta[plan.count - 1 :]
        components = plan.components([np.zeros(1)] * len(plan.names))
        drawn = self._columns_drawn(components, phi, counts, rng)
        columns = {}
        for name, spec, column in zip(plan.names, plan.specs, drawn, strict=True):
            if isinstance(spec, Column):
                column = np.array(spec.levels, dtype=object if isinstance(spec.levels[0], str) else None)[column]
            columns[name] = column
        labels = np.repeat(np.arange(plan.count), counts)
        if not plan.is_frame:
            return np.column_stack([np.asarray(column, float) for column in columns.values()]), labels
        import pandas as pd

        return pd.DataFrame(columns), labels

    def _columns_drawn(
        self, components: Any, phi: np.ndarray, counts: np.ndarray, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Draws of every column, so many from each component."""
        drawn = [components.sample(phi, k, int(size), rng) for k, size in enumerate(counts)]
        return [np.concatenate([rows[j] for rows in drawn]) for j in range(len(self._plan.names))]


__all__ = ["MixtureModel"]
