"""What scikit-learn is told of estimators that predict a response."""

from __future__ import annotations

from typing import Any

from ._estimator import Estimator


class Regressor(Estimator):
    """Base class of the regressors: their tags."""

    _estimator_type = "regressor"  # for those who do not ask for the tags

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = self._estimator_type
        tags.regressor_tags = RegressorTags()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        return tags


__all__ = ["Regressor"]
