"""MixtureSearch: mixtures over numbers of components, families and structures, compared by a criterion."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..choices import one_of
from ..errors import ConvergenceWarning, DegenerateComponentWarning, FisherfitError, InputError, InputTypeError
from ..mixtures.mixture import Mixture
from ..mixtures.moves import cut_in_two
from ..mixtures.structures import NAMES
from ._estimator import Estimator, plain
from .gaussian_mixture import GaussianMixture
from .mixed import Fitted, Mixed

if TYPE_CHECKING:
    import pandas as pd

CRITERIA = ("bic", "icl", "aic")
FALLEN = 1e-6  # nats by which the log-likelihood may fall with a component more


class MixtureSearch(Estimator):
    """Mixtures with different numbers of components and settings, and the best of them by a criterion.

    Every candidate with k components also begins at the one with k - 1 of the same settings, a component of it cut in
    two, so that the log-likelihood does not fall with k.

    Parameters
    ----------
    estimator : GaussianMixture, MixtureModel or MixtureRegressor, optional
        What is fitted, its `n_components` being replaced. By default a `GaussianMixture` with ``n_init=3``, which
        without `grid` takes mclust's 14 structures (EII and VII for one column).
    n_components : sequence of int, default range(1, 10)
        Numbers of components.
    grid : dict, or list of dicts, optional
        Settings to try, as in scikit-learn's `GridSearchCV`: ``{"covariance_type": ["full", "tied"]}``,
        ``{"family": ["poisson", "negative_binomial"]}``.
    criterion : {"bic", "icl", "aic"}, default "bic"
        Small is good (mclust's BIC has the other sign).
    random_state : int or numpy.random.Generator, optional
        Where the starts of all candidates come from: each has a stream of its own by its settings and number, so that
        it does not depend on which other settings are tried.
    n_jobs : int, optional
        Threads of every fit; by default those of the estimator. Results do not depend on it, to the bit. Candidates
        come one after the other, each beginning at the one before; all starts of a candidate make their first steps
        together, in passes that threads share.

    Attributes
    ----------
    results_ : pandas.DataFrame
        A row for every candidate, the best first: ``n_components``, the settings, ``llf``, ``n_params``, ``bic``,
        ``icl``, ``aic``, ``entropy``, ``converged``, and ``note``, the warnings of the candidate or why it could not be
        fitted. A candidate with a degenerate component, or that has not converged, has no criteria: its likelihood
        says nothing.
    best_estimator_ : estimator
        The best candidate, fitted.
    best_params_ : dict
        Its settings, with ``n_components``.
    best_score_ : float
        Its criterion.

    Examples
    --------
    >>> import fisherfit as ff
    >>> geyser = ff.datasets.load("faithful")
    >>> search = ff.MixtureSearch(n_components=range(1, 5), grid={"covariance_type": ["EEE", "VVV"]}, random_state=0)
    >>> search.fit(geyser).best_params_
    {'covariance_type': 'EEE', 'n_components': 3}
    >>> search.results_[["n_components", "covariance_type", "bic"]].head(3).round(2)
       n_components covariance_type      bic
    0             3             EEE  2314.30
    1             4             EEE  2320.14
    2             2             VVV  2322.19
    """

    _mark = "best_estimator_"

    def __init__(
        self,
        estimator: Any = None,
        n_components: Sequence[int] = range(1, 10),
        grid: Any = None,
        criterion: str = "bic",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_components = n_components
        self.grid = grid
        self.criterion = criterion
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, **data: Any) -> MixtureSearch:
        """Fit all candidates.

        Parameters
        ----------
        X, y, **data
            What the estimator's `fit` takes: ``sample_weight``, ``groups``, ...

        Returns
        -------
        The search itself.

        Raises
        ------
        InputError
            For settings that cannot be meant, and where no candidate could be fitted: with the reason of the first.

        Warns
        -----
        ConvergenceWarning
            Where the log-likelihood of a candidate is below that of one with a component less: raise `n_init`.
        """
        one_of("criterion", self.criterion, CRITERIA)
        base = GaussianMixture(n_init=3) if self.estimator is None else self.estimator
        if not isinstance(base, Mixed):
            raise InputTypeError(f"estimator must be a mixture of fisherfit's, got {type(base).__name__}")
        numbers = _numbers(self.n_components)
        settings = settings_of(_default_grid(X) if self.estimator is None and self.grid is None else self.grid)
        for setting in settings:
            _copy(base, setting)
        seed = _seed(self.random_state)
        rows: list[dict[str, Any]] = []
        best: tuple[float, Any, dict[str, Any], Fitted] | None = None
        fallen: list[str] = []
        for setting in settings:
            before: Fitted | None = None
            for k in numbers:
                model = _copy(base, {**setting, "n_components": k})
                if self.random_state is not None:
                    model.random_state = _stream(seed, setting, k)
                if self.n_jobs is not None:
                    model.n_jobs = self.n_jobs
                row: dict[str, Any] = {"n_components": k, **{name: _shown(value) for name, value in setting.items()}}
                try:
                    found = model._fitted(X, y, more=_more(before, k), **data)
                except FisherfitError as error:
                    rows.append({**row, **_scores(None), "note": str(error)})
                    before = None
                    continue
                good = _admissible(found)
                rows.append({**row, **_scores(found, good), "note": "; ".join(text for text, _ in found.fit.warnings)})
                if before is not None and good and found.fit.result.llf < before.fit.result.llf - FALLEN:
                    fallen.append(f"{_told(setting, k)} ({before.fit.result.llf - found.fit.result.llf:.3g} nats)")
                value = rows[-1][self.criterion]
                if good and (best is None or value < best[0]):
                    best = (value, model, {**setting, "n_components": k}, found)
                before = found if good else None
        if best is None:
            raise InputError(f"no candidate could be fitted: {rows[0]['note'] or 'none has a maximum'}")
        names = list(dict.fromkeys(name for row in rows for name in row))
        order = sorted(range(len(rows)), key=lambda i: (np.isnan(rows[i][self.criterion]), rows[i][self.criterion]))
        self.best_score_, model, self.best_params_, found = best
        model._assign(found)
        self.best_estimator_ = model
        self._rows = (names, [[rows[i].get(name) for name in names] for i in order])
        if fallen:
            warnings.warn(f"the log-likelihood falls with a component more: {', '.join(fallen)}; raise n_init",
                          ConvergenceWarning, stacklevel=2)  # fmt: skip
        return self

    @property
    def results_(self) -> pd.DataFrame:
        """The candidates, the best first."""
        self._check_fitted()
        import pandas as pd

        names, rows = self._rows
        fixed = ["llf", "n_params", "bic", "icl", "aic", "entropy", "converged", "note"]
        return pd.DataFrame(rows, columns=names)[[n for n in names if n not in fixed] + fixed]

    def predict(self, X: Any, **data: Any) -> np.ndarray:
        """What the best estimator predicts."""
        self._check_fitted()
        return np.asarray(self.best_estimator_.predict(X, **data))

    def predict_proba(self, X: Any, **data: Any) -> np.ndarray:
        """The best estimator's probabilities of the components."""
        self._check_fitted()
        return np.asarray(self.best_estimator_.predict_proba(X, **data))

    def score_samples(self, X: Any, **data: Any) -> np.ndarray:
        """The best estimator's log-densities."""
        self._check_fitted()
        return np.asarray(self.best_estimator_.score_samples(X, **data))

    def plot(self, ax: Any = None) -> Any:
        """The criterion by number of components, a line for every setting; see :func:`fisherfit.plots.bic_curves`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of their own.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ..plots import bic_curves

        return bic_curves(self, ax=ax)


def settings_of(grid: Any) -> list[dict[str, Any]]:
    """The settings of a grid, each once, in the order in which they are written."""
    if grid is None:
        return [{}]
    grids = [grid] if isinstance(grid, Mapping) else list(grid) if isinstance(grid, (list, tuple)) else None
    if grids is None or not grids or not all(isinstance(one, Mapping) for one in grids):
        raise InputTypeError(f"grid must be a dictionary from settings to lists of values, or a list of them, got "
                             f"{grid!r}")  # fmt: skip
    out: list[dict[str, Any]] = []
    for one in grids:
        for name, values in one.items():
            if name == "n_components":
                raise InputError("grid: n_components is an argument of its own; leave it out of the grid")
            if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)) or not len(values):
                raise InputError(f"grid: {name!r} needs a list of values, got {values!r}")
        for values in product(*one.values()):
            setting = dict(zip(one, values, strict=True))
            if setting not in out:
                out.append(setting)
    return out


def _default_grid(X: Any) -> dict[str, list[str]]:
    from .mixture_columns import rows_of

    return {"covariance_type": list(NAMES) if len(rows_of(X).names) > 1 else ["EII", "VII"]}


def _numbers(given: Any) -> list[int]:
    values = [given] if isinstance(given, (int, np.integer)) else given
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise InputTypeError(f"n_components must be numbers of components, such as range(1, 10), got {given!r}")
    out = list(values)
    if not out or any(isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1 for k in out):
        raise InputError(f"n_components must be whole numbers of at least 1, got {given!r}")
    return sorted({int(k) for k in out})


def _copy(base: Any, setting: dict[str, Any]) -> Any:
    """A new estimator with the settings of another but for some."""
    model: Any = plain(type(base))(**base.get_params(deep=False))
    return model.set_params(**setting)


def _seed(random_state: Any) -> int:
    from ..randomness import generator

    if isinstance(random_state, (int, np.integer)):
        generator(random_state)
        return int(random_state)
    return int(generator(random_state).integers(2**31))


def _stream(seed: int, setting: dict[str, Any], k: int) -> int:
    """The seed of a candidate, from what it is."""
    text = repr(sorted((name, _shown(value)) for name, value in setting.items())).encode()
    return int(np.random.SeedSequence([seed, k, *text]).generate_state(1)[0])


def _more(before: Fitted | None, k: int) -> Any:
    """Points to begin from: the candidate with a component less, one of its components cut in two."""
    if before is None or before.mixture.mixing.count != k - 1:
        return None

    def points(mixture: Mixture) -> list[np.ndarray]:
        return cut_in_two(before.mixture, before.fit.theta, mixture)

    return points


def _admissible(found: Fitted) -> bool:
    """True for a maximum without degenerate components."""
    result = found.fit.result
    degenerate = any(issubclass(kind, DegenerateComponentWarning) for _, kind in found.fit.warnings)
    return bool(result.converged and np.isfinite(result.llf) and not degenerate)


def _scores(found: Fitted | None, good: bool = False) -> dict[str, Any]:
    if found is None:
        nothing = dict.fromkeys(("llf", "n_params", "bic", "icl", "aic", "entropy"), np.nan)
        return {**nothing, "converged": False}
    r = found.fit.result
    criteria = {"bic": r.bic, "icl": r.icl, "aic": r.aic} if good else dict.fromkeys(CRITERIA, np.nan)
    return {"llf": r.llf, "n_params": r.n_params, **criteria, "entropy": r.entropy, "converged": r.converged}


def _shown(value: Any) -> Any:
    """A setting as a table shows it."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _told(setting: dict[str, Any], k: int) -> str:
    return ", ".join([*(f"{name}={_shown(value)}" for name, value in setting.items()), f"n_components={k}"])


__all__ = ["MixtureSearch", "settings_of"]
