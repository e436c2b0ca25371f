"""What makes an estimator of scikit-learn, without importing scikit-learn, which takes longer than most fits.

Parameters, their text and pickles are here. The rest is scikit-learn's own: its HTML, its tags, its routing of metadata
are looked up in a class that derives from `sklearn.base.BaseEstimator` too, made when it is first asked for.
"""

from __future__ import annotations

import inspect
import sys
from types import MethodType
from typing import TYPE_CHECKING, Any

from ..errors import InputError, InputTypeError
from ..table import shown

# methods to which scikit-learn routes metadata, each with a `set_..._request` of its own
ROUTED = (
    "fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "decision_function", "score", "split",
    "transform", "inverse_transform",
)  # fmt: skip


class Inherited:
    """An attribute that is `sklearn.base.BaseEstimator`'s, where the installed version has it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return getattr(super(Estimator, derived(owner)), self.name)
        return getattr(super(Estimator, seen(instance)), self.name)


class Request:
    """A method such as `set_fit_request`, as scikit-learn makes it from the arguments of the method."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        found = derived(owner)
        if found is owner:  # scikit-learn asks whether it is to make the method
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}")
        return getattr(found, self.name) if instance is None else MethodType(getattr(found, self.name), instance)


class Estimator:
    """Base class of the estimators.

    `isinstance` finds them to be scikit-learn's: their `__class__` derives from `sklearn.base.BaseEstimator` as soon as
    that has been imported.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        for method in ROUTED:
            name = f"set_{method}_request"
            if method in vars(cls) and name not in vars(cls):
                setattr(cls, name, Request(name))
        super().__init_subclass__(**options)

    if TYPE_CHECKING:  # what `fit` assigns

        def __getattr__(self, name: str) -> Any: ...

    _mark = "result_"  # what a fit assigns last

    get_metadata_routing = Inherited()
    _get_metadata_request = Inherited()
    _repr_html_ = Inherited()
    _repr_mimebundle_ = Inherited()
    _get_doc_link = Inherited()
    _get_params_html = Inherited()
    _get_fitted_attr_html = Inherited()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, self._mark)

    def _check_fitted(self) -> None:
        if not hasattr(self, self._mark):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' first.")

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted(_defaults(cls))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of the constructor by name.

        Parameters
        ----------
        deep : bool
            Also the arguments of arguments that are estimators, as ``name__argument``.
        """
        out: dict[str, Any] = {}
        for name in self._get_param_names():
            value = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                out |= {f"{name}__{inner}": v for inner, v in value.get_params().items()}
            out[name] = value
        return out

    def set_params(self, **params: Any) -> Any:
        """Set arguments of the constructor; they count from the next `fit` on.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        InputError
            For a name that is no argument; nothing is set.
        """
        names = self._get_param_names()
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, within, inner = key.partition("__")
            if name not in names or (within and not hasattr(params.get(name, getattr(self, name)), "set_params")):
                raise InputError(
                    f"Invalid parameter {key!r} for estimator {self}; the parameters of {type(self).__name__} are "
                    f"{', '.join(names)}"
                )
            if within:
                nested.setdefault(name, {})[inner] = value
        for name in set(params) & set(names):
            setattr(self, name, params[name])
        for name, inner_params in nested.items():
            getattr(self, name).set_params(**inner_params)
        return self

    def __repr__(self) -> str:
        sklearn = sys.modules.get("sklearn")
        everything = sklearn is not None and not sklearn.get_config()["print_changed_only"]
        defaults = _defaults(type(self))
        given = [
            f"{name}={' '.join(shown(value, 200).split())}"
            for name, value in self.get_params(deep=False).items()
            if everything or repr(value) != repr(defaults[name])
        ]
        text = f"{type(self).__name__}({', '.join(given)})"
        return text if len(text) <= 80 else _wrapped(type(self).__name__, given)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def __sklearn_clone__(self) -> Any:
        copy = super(Estimator, seen(self)).__sklearn_clone__()  # type: ignore[misc]
        return _blank(plain(type(self)), copy.__dict__)

    def __reduce__(self) -> Any:
        return _blank, (plain(type(self)),), self.__getstate__()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What `isinstance` asks for where the type alone says no."""
        return derived(type(self)) if "sklearn.base" in sys.modules else type(self)


def _defaults(cls: Any) -> dict[str, Any]:
    """The arguments of the constructor with their defaults."""
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
    for p in arguments:
        if p.kind == p.VAR_POSITIONAL:
            raise InputTypeError(
                f"{cls.__name__}.__init__ takes *{p.name}; name every argument, so that get_params can find it"
            )
    return {p.name: p.default for p in arguments if p.kind != p.VAR_KEYWORD}


def _wrapped(name: str, given: list[str]) -> str:
    """The text of an estimator in lines of at most 80 characters, where its arguments are shorter."""
    lines, margin = [f"{name}("], " " * (len(name) + 1)
    for argument in given:
        word = f"{argument})" if argument is given[-1] else f"{argument},"
        if len(lines[-1]) + len(word) + 1 > 80 and lines[-1].strip() and not lines[-1].endswith("("):
            lines.append(margin)
        lines[-1] += word if lines[-1].endswith("(") or lines[-1] == margin else f" {word}"
    return "\n".join(lines)


def _blank(cls: type, state: dict[str, Any] | None = None) -> Any:
    """An object of a class, its constructor not called, with this dictionary of attributes."""
    made: Any = object.__new__(cls)
    if state is not None:
        made.__dict__ = state
    return made


_derived: dict[type, type] = {}


def derived(cls: type) -> type:
    """The class as it would be if it derived from `sklearn.base.BaseEstimator` too: one for each class."""
    if cls not in _derived:
        from sklearn.base import BaseEstimator

        if issubclass(cls, BaseEstimator):
            return cls
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
        _derived.setdefault(cls, type(cls.__name__, (cls, BaseEstimator), {**names, "_plain": cls}))
    return _derived[cls]


def plain(cls: type) -> type:
    """The class that `derived` was given."""
    return vars(cls).get("_plain", cls)


def seen(estimator: Estimator) -> Any:
    """The estimator as an object of the derived class; the two share their attributes."""
    cls = derived(type(estimator))
    return estimator if cls is type(estimator) else _blank(cls, estimator.__dict__)
