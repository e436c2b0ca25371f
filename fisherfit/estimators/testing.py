"""Tests, analysis of deviance and pairwise comparisons of a fitted model: the glue."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads, labelled
from ..choices import one_of
from ..covtypes import read_cov_type
from ..errors import CovarianceWarning, InputError, frames_inside
from ..penalised import need_objective, need_plain

if TYPE_CHECKING:
    import pandas as pd

    from ..testing import HypothesisTest


class Testing:
    """What a fitted model says of hypotheses on its coefficients."""

    __test__ = False  # no test case, whatever its name

    def test(
        self: Any,
        hypothesis: Any,
        method: str = "wald",
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        cov_type: str | None = None,
        groups: Any = None,
    ) -> HypothesisTest:
        """Test a linear hypothesis on the coefficients.

        Parameters
        ----------
        hypothesis : str, list of str, array of shape (m, p), or pair (R, r)
            ``"x1 = x2"``; several, separated by commas: ``"x1 = 0, x2 = 2*x3 - 1"``; the name of a term, such as
            ``"C(region)"``: all its coefficients are zero; a nested formula such as ``"y ~ x1"``: the coefficients that
            it lacks are zero; a matrix R with R b = 0, or R and r with R b = r. Names are those of
            ``result_.params``, as they are or in backticks.
        method : {"wald", "lr", "score"}, default "wald"
            Wald needs no rows; the others fit the model under the hypothesis and need the data of the fit.
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`. With them a Wald test of one coefficient also looks for
            the Hauck-Donner effect.
        cov_type : str, optional
            Covariance of a Wald test, of any kind that :meth:`covariance` has: by default that of the fit. Any other
            needs the data.
        groups : array of shape (n,) or column name, or two of them, optional
            The group of every row, for ``cov_type="cluster"``.

        Returns
        -------
        HypothesisTest
            With ``statistic``, ``df``, ``p_value``, ``method``, ``distribution``. Chi-square; F where the dispersion is
            estimated, with the dispersion of this model.

        Raises
        ------
        InputError
            For hypotheses that cannot be read, contradict themselves or cannot be tested, and for data that are not
            those of the fit; for "score", and for "lr" without a penalised likelihood, with estimates of reduced bias.

        Warns
        -----
        HauckDonnerWarning, SeparationWarning, BoundaryWarning, RankWarning, ConvergenceWarning, CovarianceWarning
            Where the test says less than it seems to.

        Examples
        --------
        >>> import fisherfit as ff
        >>> data = ff.datasets.load("warpbreaks")
        >>> model = ff.GLM(formula="breaks ~ wool + tension", family="poisson").fit(data)
        >>> model.test("tension[T.M] = tension[T.H]")
        Wald test of tension[T.M] = tension[T.H]: chi2(1) = 8.3256, p = 0.003909
        >>> round(model.test("tension", method="lr", X=data).statistic, 4)
        70.9416
        """
        from ..hypotheses import read_hypothesis
        from ..model_terms import terms_of
        from ..testing import METHODS, TITLES, run

        self._check_fitted()
        one_of("method", method, METHODS)
        terms = terms_of(self._predictor.terms)
        found = read_hypothesis(hypothesis, self.result_.names, terms, self._formula_text())
        if method == "wald":
            covariance = self._wald_covariance(X, y, sample_weight, offset, exposure, cov_type, groups)
            test, notes = self._wald(found, X, y, sample_weight, offset, exposure, *covariance)
        else:
            for name, given in (("cov_type", cov_type), ("groups", groups)):
                if given is not None:
                    raise InputError(f"{name} is for method='wald'; the {method} test uses the likelihood itself")
            if method == "lr":
                need_objective(self.result_, "the likelihood-ratio test")
            else:
                need_plain(self.result_, f"the {TITLES[method].lower()} test", "use method='lr'")
            self._need_converged()
            self._say_model_based(f"the {TITLES[method].lower()} test")
            if X is None:
                raise InputError(f"the {method} test needs the data of the fit; give X and y, or use method='wald'")
            with _threads.single_threaded_blas(), np.errstate(all="ignore"):
                test, notes = run(self._full(X, y, sample_weight, offset, exposure, method == "lr"), found, method)
        for message, kind in notes:
            warnings.warn(message, kind, stacklevel=frames_inside())
        return test

    def _wald(
        self: Any, found: Any, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any,
        covariance: np.ndarray, kind: str,
    ) -> tuple[HypothesisTest, list[tuple[str, Any]]]:  # fmt: skip
        """The Wald test, and the warnings that go with it."""
        from ..errors import BoundaryWarning, HauckDonnerWarning, RankWarning, SeparationWarning
        from ..hauck_donner import hauck_donner
        from ..testing import exact_fit, outcome, testable_part, wald, wald_within

        result = self.result_
        notes: list[tuple[str, Any]] = []
        used = np.any(found.matrix != 0.0, axis=0)
        names = np.array(result.names, dtype=object)[used]
        infinite = [name for name in names if name in self.separation_.coefficients]
        edge = [name for name in names if name in (self.boundary_ or {}).get("parameters", ())]
        single = found.df == 1 and int(used.sum()) == 1
        if single and names[0] in result.positive and found.value[0] == 0.0:
            raise InputError(f"{names[0]} = 0 is on the edge of the parameter space, where a Wald test does not hold; "
                             "use method='lr' with the data of the fit")  # fmt: skip
        full = None if X is None else self._full(X, y, sample_weight, offset, exposure)
        estimates = np.where(np.isin(result.names, infinite), np.inf, result.coefficients)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            chi2 = float("nan") if infinite or edge else wald(result, found, covariance, estimates)
            df, unknown = found.df, bool(np.isnan(covariance[np.ix_(used, used)]).any())
            if unknown and full is not None and kind == "expected" and not infinite and not edge:
                matrix, value, lost = testable_part(full, found)
                chi2, df, unknown = wald_within(full.maximum, full.basis, matrix, value), len(matrix), False
                notes += lost
            if infinite:
                notes.append((f"the estimate of {', '.join(infinite)} is infinite: a Wald test says nothing of it; use "
                              "method='lr' with the data of the fit", SeparationWarning))  # fmt: skip
            elif edge:
                held = getattr(self, "constraints_", None) is not None
                instead = "compare with a fit without the bound" if held else "use method='lr' with the data of the fit"
                notes.append((f"{', '.join(edge)} is at its bound: a Wald test says nothing of it; {instead}",
                              BoundaryWarning))  # fmt: skip
            elif unknown and not np.isnan(result.dispersion):  # else no degrees of freedom are left
                notes.append((f"{found.text!r} holds coefficients that are not estimable: the Wald test is NaN; with "
                              "the data of the fit what can be tested is tested", RankWarning))  # fmt: skip
            elif not result.dispersion > 0.0:
                chi2 = float("nan")
                notes += exact_fit(result)
            elif np.isnan(chi2):
                notes.append((f"the covariance of {found.text!r} is singular: the Wald test is NaN, as the estimates "
                              "do not vary in that direction", RankWarning))  # fmt: skip
            if full is not None and single and not notes and not full.constrained:
                j = np.flatnonzero(used)
                effect = hauck_donner(full.maximum, j, found.value / found.matrix[0, j])
                if effect.found[0]:
                    notes.append((f"Hauck-Donner effect: the Wald statistic of {names[0]} falls as it grows, "
                                  "and understates the evidence; use method='lr'", HauckDonnerWarning))  # fmt: skip
        text = " ".join(message for message, _ in notes)
        return replace(outcome(chi2, df, "wald", result, found.text, text), cov_type=kind), notes

    def _wald_covariance(
        self: Any, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any, cov_type: str | None, groups: Any
    ) -> tuple[np.ndarray, str]:
        """The covariance of a Wald test in the user's units, that of the fit or another, and its kind."""
        from ..sandwich import in_force

        result = self.result_
        if groups is not None and cov_type is None:
            raise InputError("groups is for cov_type='cluster'; give it too, or leave groups out")
        known = cov_type is None or str(in_force(read_cov_type(cov_type), self.weight_type)) == result.cov_type
        if groups is None and known:
            if result.covariance is None:
                raise InputError("the covariance was not formed, as the model has too many coefficients; use "
                                 "method='lr' or 'score' on fewer columns")  # fmt: skip
            return result.covariance, result.cov_type
        if X is None:
            raise InputError(f"cov_type={cov_type!r} differs from that of the fit ({result.cov_type!r}) and needs the "
                             "data of the fit; give X and y")  # fmt: skip
        found = self.covariance(
            X, y, cov_type, groups, sample_weight=sample_weight, offset=offset, exposure=exposure
        )  # fmt: skip
        return found.to_numpy(), found.attrs["cov_type"]

    def _say_model_based(self: Any, what: str) -> None:
        """Warn that the robust covariance of a fit has no part in what goes by its likelihood."""
        kind = self.result_.cov_type
        if kind not in ("expected", "observed", "opg", "not formed"):
            warnings.warn(
                f"{what} goes by the likelihood, and the {kind} covariance of the fit has no part in it; use "
                "model.test(..., method='wald'), which takes that covariance",
                CovarianceWarning,
                stacklevel=frames_inside(),
            )

    def anova(
        self: Any,
        X: Any,
        y: Any = None,
        kind: str = "sequential",
        method: str = "lr",
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
    ) -> pd.DataFrame:
        """Analysis of deviance: a line for every term of the model.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`.
        kind : {"sequential", "marginal"}, default "sequential"
            Each term added to those before it (R's ``anova``), or dropped from the whole model (R's ``drop1``; terms
            that an interaction holds are left out).
        method : {"lr", "wald", "score"}, default "lr"
            The test. ``deviance`` is the difference of deviances whatever the test.

        Returns
        -------
        pandas.DataFrame
            ``df``, ``deviance``, ``resid_df``, ``resid_deviance``, then ``chi2``, or ``F`` where the dispersion is
            estimated (that of the whole model in every line), and ``p_value``. What is left is that of the model with
            the term in "sequential", and of the model without it in "marginal". Where alpha is estimated, -2
            log-likelihood stands in place of the deviance, and alpha is estimated in every line.

        Raises
        ------
        InputError
            For data that are not those of the fit, probability weights, estimates of reduced bias (but for "lr" where
            they maximise a penalised likelihood, which then stands in place of the likelihood), Wald tests where
            `cov_type` is not "expected" (:meth:`test` takes every covariance), and unknown arguments.

        Examples
        --------
        >>> import fisherfit as ff
        >>> data = ff.datasets.load("warpbreaks")
        >>> model = ff.GLM(formula="breaks ~ wool + tension", family="poisson").fit(data)
        >>> model.anova(data).round(4)
                   df  deviance  resid_df  resid_deviance     chi2  p_value
        Intercept   0       NaN      53.0        297.3722      NaN      NaN
        wool        1   16.0388      52.0        281.3335  16.0388   0.0001
        tension     2   70.9416      50.0        210.3919  70.9416   0.0000
        """
        from ..anova_table import frame_of, table_of, uses_deviance
        from ..model_terms import terms_of
        from ..testing import METHODS

        self._check_fitted()
        one_of("kind", kind, ("sequential", "marginal"))
        one_of("method", method, METHODS)
        if getattr(self, "constraints_", None) is not None:
            raise InputError("anova drops whole terms, which the constraints of this fit tie to others; use model.test")
        if method == "lr":
            need_objective(self.result_, "analysis of deviance")
        else:
            need_plain(self.result_, f"analysis of deviance by method={method!r}", "use method='lr'")
        self._need_converged()
        if method != "wald":
            self._say_model_based("analysis of deviance")
        if method == "wald" and self.result_.cov_type != "expected":
            raise InputError(
                f"anova(method='wald') goes by the expected information, and the covariance of this fit is "
                f"{self.result_.cov_type!r}; use model.test on the terms, which takes it"
            )
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            full = self._full(X, y, sample_weight, offset, exposure, method == "lr")
            rows, notes = table_of(full, terms_of(self._predictor.terms), kind, method)
        for message, category in notes:
            warnings.warn(message, category, stacklevel=frames_inside())
        return frame_of(rows, self.result_, uses_deviance(full))

    def pairwise(self: Any, term: str, adjust: str = "holm", level: float = 0.95) -> pd.DataFrame:
        """Compare the levels of a categorical term, all pairs, on the link scale.

        Parameters
        ----------
        term : str
            A categorical column, as ``"tension"`` or ``"C(region)"``, that is in no interaction.
        adjust : {"holm", "bonferroni", "tukey", "fdr_bh", "none"}, default "holm"
            How p-values take the number of comparisons into account.
        level : float, default 0.95
            Of the intervals: simultaneous with "tukey" and "bonferroni"; with "holm", which has none of its own, those
            of Bonferroni; with "fdr_bh" and "none" each for itself.

        Returns
        -------
        pandas.DataFrame
            ``estimate``, ``std err``, ``t`` or ``z``, ``p_value``, ``lower``, ``upper``, for every pair "b - a".

        Raises
        ------
        InputError
            For terms without levels, or in an interaction.

        Examples
        --------
        >>> import fisherfit as ff
        >>> data = ff.datasets.load("warpbreaks")
        >>> model = ff.GLM(formula="breaks ~ wool + tension", family="poisson").fit(data)
        >>> model.pairwise("tension", adjust="tukey")[["estimate", "std err", "p_value"]].round(4)
               estimate  std err  p_value
        M - L   -0.3213   0.0603   0.0000
        H - L   -0.5185   0.0640   0.0000
        H - M   -0.1972   0.0683   0.0109
        """
        from ..hypotheses import unknown
        from ..model_terms import factor_key, terms_of
        from ..pairs import compare

        self._check_fitted()
        terms = terms_of(self._predictor.terms)
        wanted = [t for t in terms if isinstance(term, str) and (t.name == term or t.factors == {factor_key(term)})]
        if not wanted:
            raise unknown(str(term), [t.name for t in terms])
        found = compare(self.result_, wanted[0], terms, adjust, level)
        out = labelled.frame(found.columns, found.labels)
        out.attrs["cov_type"] = self.result_.cov_type
        return out

    def hauck_donner(
        self: Any, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None, exposure: Any = None
    ) -> pd.DataFrame:
        """Where Wald tests mislead: the Hauck-Donner effect, coefficient by coefficient.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`.

        Returns
        -------
        pandas.DataFrame
            ``statistic`` (estimate over its standard error by the expected information), ``derivative`` of it in the
            coefficient, the others held, and ``effect``: True where the statistic falls as the coefficient moves away
            from zero (Yee, 2022). NaN for infinite and not estimable coefficients, and for alpha.

        Raises
        ------
        InputError
            For data that are not those of the fit.

        Examples
        --------
        >>> import fisherfit as ff
        >>> data = ff.datasets.load("warpbreaks")
        >>> model = ff.GLM(formula="breaks ~ wool + tension", family="poisson").fit(data)
        >>> bool(model.hauck_donner(data)["effect"].any())
        False
        """
        from ..hauck_donner import hauck_donner

        self._check_fitted()
        if getattr(self, "constraints_", None) is not None:
            raise InputError("hauck_donner is not defined under constraints; use model.test(..., method='lr')")
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            maximum, _ = self._at_maximum(X, y, sample_weight, offset, exposure)
            at = np.arange(len(self.result_.names))
            effect = hauck_donner(maximum, at, np.zeros(at.size))
        columns = {"statistic": effect.root, "derivative": effect.slope, "effect": effect.found}
        return labelled.frame(columns, self.result_.names)

    def _formula_text(self: Any) -> str | None:
        """The formula that was fitted."""
        return getattr(self._predictor.terms, "text", None)

    def _need_converged(self: Any) -> None:
        if not self.converged_ and not self.separation_:
            raise InputError(
                "the fit has not converged, so that its likelihood cannot be compared; see the warnings of fit"
            )

    def _full(self: Any, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any, lr: bool = False) -> Any:
        """The fit on its rows, as tests see it."""
        from ..penalised import with_penalty
        from ..testing import full_of
        from ..within import directions_of

        maximum, data = self._at_maximum(X, y, sample_weight, offset, exposure, constrained=True)
        family, links = self._check_parameters()
        separated = self._separated(data)
        rows = self._likelihood(data, family, links)
        separated = separated if separated.size else rows.no_rows()
        held = getattr(self, "constraints_", None)
        matrix = value = None
        if held is not None:
            matrix, value = held.active_rows()
            maximum = replace(maximum, basis=directions_of(maximum, matrix))
            matrix = maximum.contrasts(matrix)
            size = np.linalg.norm(matrix, axis=1)
            matrix, value = matrix / size[:, None], value / size
        bounds_only = held is not None and not (self.boundary_ or {}).get("rows", np.zeros(0)).size
        regular = not self.separation_ and (not self.boundary_ or bounds_only)
        return full_of(with_penalty(maximum) if lr else maximum, rows, separated, regular, matrix, value)


__all__ = ["Testing"]
