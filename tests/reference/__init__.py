"""The certified cases: reading them, handing them to ``fisherfit.GLM``, counting correct digits."""

import json
import pathlib

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
WEIGHT_TYPES = {"frequency": "frequency", "prior": "analytic"}


def cases(group):
    """All cases of a file, e.g. ``cases("glm")``."""
    return json.loads((HERE / f"{group}.json").read_text(encoding="utf-8"))["cases"]


def case(group, name):
    """One case by its name."""
    return next(c for c in cases(group) if c["name"] == name)


def lre(got, true):
    """Correct digits, -1 to 15: -log10 of the relative error (absolute where the truth is 0), -1 for NaN."""
    got, true = float(got), float(true)
    if not np.isfinite(got):
        return -1.0
    error = abs(got - true) / (abs(true) if abs(true) > 1e-30 else 1.0)
    return 15.0 if error == 0.0 else float(np.clip(-np.log10(error), -1.0, 15.0))


def worst(got, true):
    """The fewest correct digits over the entries of ``true`` (a dict); ``got`` is looked up by label."""
    return min((lre(got[key], value) for key, value in true.items()), default=15.0)


def label(name):
    """The package's label of a coefficient."""
    return "Intercept" if name == "(Intercept)" else name


def truth(c, key="params"):
    """The values of ``key`` under the package's labels; a jointly fitted alpha on its own scale."""
    values = {label(name): value for name, value in c[key].items() if name != "log_alpha"}
    if "log_alpha" in c[key]:
        values["alpha"] = c[{"params": "alpha", "se": "se_alpha", "se_observed": "se_alpha_observed"}[key]]
    return values


def data(c):
    """X (a data frame), y and the keyword arguments of ``fit``."""
    y, w, keywords = np.asarray(c["y"], float), c.get("weights"), {}
    X = pd.DataFrame({name: np.asarray(c["X"][name], float) for name in c["columns"]}, index=range(len(y)))
    if c.get("weight_kind") == "trials":
        successes, trials = np.asarray(c["counts"], float), np.asarray(w, float)
        y = np.column_stack([successes, trials - successes])
    elif w is not None:
        keywords["sample_weight"] = np.asarray(w, float)
    if c.get("offset") is not None:
        keywords["offset"] = np.asarray(c["offset"], float)
    return X, y, keywords


def family(c):
    """The ``family`` argument of a case."""
    import fisherfit as ff

    if c["family"] == "tweedie":
        return ff.Tweedie(power=c["tweedie_power"])
    if "alpha_fixed" in c:
        return ff.NegativeBinomial(alpha=c["alpha_fixed"])
    return "normal" if c["family"] == "gaussian" else c["family"]


def model(c, **options):
    """An unfitted ``GLM`` of the case with X, y and the keyword arguments of ``fit``.

    >>> m, X, y, keywords = model(case("glm", "trees_gamma_log"))  # doctest: +SKIP
    >>> m.fit(X, y, **keywords)  # doctest: +SKIP
    """
    import fisherfit as ff

    if c.get("weight_kind") in WEIGHT_TYPES:
        options.setdefault("weight_type", WEIGHT_TYPES[c["weight_kind"]])
    m = ff.GLM(family=family(c), link=c["link"], fit_intercept=c.get("fit_intercept", True), **options)
    return m, *data(c)


def starts(c):
    """The start vectors of a hard case, intercept first: the named one, then the random ones."""
    names = ["(Intercept)"] * c.get("fit_intercept", True) + c["columns"]
    listed = [[c["start"][name] for name in names]] if c.get("start") else []
    random = c.get("random_starts") or {"order": names, "values": []}
    listed += [[v[random["order"].index(name)] for name in names] for v in random["values"]]
    return [np.asarray(v, float) for v in listed]
