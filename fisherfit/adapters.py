"""Fitted models for other packages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .altered import Variable, altered, variables
from .errors import InputError
from .estimators import GLM
from .likelihood import expand
from .table import read_table
from .tangents import mean_is_first
from .uncertain import in_user_units

__all__ = ["to_marginaleffects"]

#: links whose gradient marginaleffects has in closed form, each with a family that it knows the link by
AUTODIFF = {"identity": "gaussian", "inverse": "gaussian", "log": "poisson", "sqrt": "poisson", "logit": "binomial",
            "probit": "binomial", "cloglog": "binomial"}  # fmt: skip


def to_marginaleffects(model: GLM, data: Any) -> Any:
    """A fitted model as the Python package `marginaleffects` takes it.

    Its functions `predictions`, `comparisons`, `slopes`, their averages, `hypotheses` and plots then work on it, with
    standard errors from the covariance of the fit, and Student's t where the dispersion is estimated.

    Parameters
    ----------
    model : GLM
        A fitted model, with a formula or with named columns.
    data : table
        The rows of the fit, or others to average over. Rows with a missing value in a column that is used are left out.

    Returns
    -------
    marginaleffects.classes.ModelAbstract

    Raises
    ------
    ImportError
        Where the package is not installed.
    InputError
        For a fit on an array, whose columns have no names, or with an offset that was given as an array.

    Examples
    --------
    ::

        from marginaleffects import avg_slopes
        import fisherfit as ff
        from fisherfit.adapters import to_marginaleffects

        data = ff.datasets.load("birthwt")
        model = ff.GLM("binomial", formula="low ~ age + lwt + race").fit(data)
        avg_slopes(to_marginaleffects(model, data))
    """
    model._check_fitted()
    table = read_table(data)
    predictor = model._predictor
    if not table.is_frame or not getattr(predictor.terms, "named", True):
        raise InputError("marginaleffects needs named columns; fit the model on a table (pandas, polars, pyarrow)")
    if any(predictor.needs):
        raise InputError("the fit had an offset or exposure given as an array, which changed rows have no value of; "
                         "make it a column and name it, as in exposure='years'")  # fmt: skip
    model.result_.cov_params()  # says why there is none
    return _adapter()(model, data, variables(predictor, table))


@cache
def _adapter() -> Any:
    try:
        from marginaleffects.classes import ModelAbstract, ModelVault  # type: ignore[import-not-found, unused-ignore]
        from marginaleffects.utils import ingest  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError(f"marginaleffects is not installed ({error}): pip install marginaleffects") from None
    import polars as pl

    class ModelFisherfit(ModelAbstract):  # type: ignore[misc, unused-ignore]
        """A model of fisherfit: the exog of a row is its design on the columns as given, and then its offset."""

        def __init__(self, model: GLM, data: Any, used: dict[str, Variable]) -> None:
            self._used = used
            self._has_offset = model._predictor.shift(read_table(data)) is not None
            result = model.result_
            p = len(model._predictor.terms.names)
            columns = [*used, *(name for name in model._predictor.offset_names if name is not None)]
            frame = ingest(data)
            frame = frame.drop([c for c in frame.columns if c not in columns and frame[c].null_count()])
            for name, variable in used.items():
                if variable.levels is not None:
                    levels = [str(level) for level in variable.levels]
                    frame = frame.with_columns(_as_text(frame[name]).cast(pl.Enum(levels)))
            frame = frame.drop_nulls([name for name in columns if name in frame.columns])
            vault = ModelVault(
                formula=lambda rows: (None, self.get_exog(rows)),  # a text would be evaluated anew, by other rules
                coef=np.array(result.coefficients[:p]), coefnames=np.array(result.names[:p]), modeldata=frame,
                vcov=np.array(result.covariance[:p, :p]), package="fisherfit",
                variable_names=[result.response, *used],
            )  # fmt: skip
            super().__init__(model, vault)

        @property
        def df_resid(self) -> float:
            result = self.model.result_
            return float(result.df_resid) if result.use_t else float("inf")

        def get_vcov(self, vcov: Any = True) -> Any:
            if isinstance(vcov, bool):
                return self.vault.vcov if vcov else None
            raise InputError(f"vcov={vcov!r}: give the covariance as an array, or cov_type={vcov!r} to GLM")

        def get_exog(self, newdata: Any) -> np.ndarray:
            for name, variable in self._used.items():
                if variable.levels is not None and not isinstance(variable.levels[0], str):
                    numbers = {str(level): float(level) for level in variable.levels}
                    newdata = newdata.with_columns(
                        pl.Series(name, [numbers[v] for v in newdata[name].cast(pl.String).to_list()])
                    )
            predictor, table = self.model._predictor, altered(read_table(newdata))
            design = predictor.terms.design(table)
            z = expand(design, 0, design.n)
            x = np.stack([in_user_units(design, row) for row in z]) if design.n else z
            shift = predictor.shift(table)
            return x if shift is None else np.column_stack([x, shift])

        def get_predict(self, params: np.ndarray, newdata: Any) -> Any:
            exog = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
            params = np.asarray(params)
            eta = exog[:, : params.size] @ params
            if self._has_offset:
                eta = eta + exog[:, -1]
            rows = np.arange(exog.shape[0], dtype=np.int32)
            return pl.DataFrame({"rowid": rows, "estimate": self.model._predictor.mean(eta)})

        def get_autodiff_args(self) -> Any:
            if self._has_offset:
                return "models with offset or exposure"
            link = self.model._predictor.links[0].name
            if link not in AUTODIFF or not mean_is_first(self.model._predictor.family):
                return f"link {link!r}"
            return {"model_type": "glm", "family": AUTODIFF[link], "link": link}

    def _as_text(series: Any) -> Any:
        if not series.dtype.is_numeric():
            return series.cast(pl.String)
        return pl.Series(series.name, [str(int(v)) if float(v).is_integer() else str(float(v)) for v in series])

    return ModelFisherfit
