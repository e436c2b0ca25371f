"""Figures: what is drawn is what is meant, by its data; axes are labelled; wrong input is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib as mpl
import matplotlib.collections
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

mpl.use("Agg")

import matplotlib.pyplot as plt

import fisherfit as ff

QUINE, CRABS, TREES, BIRTHS = (ff.datasets.load(name) for name in ("quine", "crabs", "trees", "birthwt"))
DAYS = "days ~ eth + sex + age + lrn"


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fits():
    found = {
        "nb": (ff.GLM("negative_binomial", formula=DAYS), QUINE),
        "crabs": (ff.GLM("poisson", formula="satellites ~ width"), CRABS),
        "trees": (ff.GLM("gamma", formula="volume ~ girth + height"), TREES),
        "births": (ff.GLM("binomial", formula="low ~ age + lwt + race + smoke"), BIRTHS),
    }
    return {name: (model.fit(data), model.diagnostics(data)) for name, (model, data) in found.items()}


class Traces:
    """A profile of a normal likelihood, in the form that `plots.profile` takes."""

    def trace(self, name):
        value = np.linspace(-2.0, 4.0, 13)
        return pd.DataFrame({"value": value, "tau": (value - 1.0) / 0.8})


def points(ax):
    return np.concatenate([c.get_offsets() for c in ax.collections if isinstance(c, mpl.collections.PathCollection)])


def lines(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def test_every_figure_returns_its_axes_labelled_and_takes_axes(fits):
    (nb, dn), (_, dc), (_, dt), (births, db) = (fits[k] for k in ("nb", "crabs", "trees", "births"))
    calls = {
        "coefficients": lambda ax: ff.plots.coefficients(nb, ax=ax),
        "residuals": lambda ax: ff.plots.residuals(dt, ax=ax),
        "qq": lambda ax: ff.plots.qq(dn, ax=ax),
        "worm": lambda ax: ff.plots.worm(dn, ax=ax),
        "rootogram": lambda ax: ff.plots.rootogram(dc, ax=ax),
        "influence": lambda ax: ff.plots.influence(dt, ax=ax),
        "profile": lambda ax: ff.plots.profile(Traces(), "x", ax=ax),
        "effect": lambda ax: ff.plots.effect(births, BIRTHS, "lwt", ax=ax),
        "calibration": lambda ax: ff.plots.calibration(db, ax=ax),
    }
    elsewhere = {"density", "ellipses", "posterior_rootogram", "regression_lines", "bic_curves", "likelihood_trace",
                 "kl_balls", "paths", "trace"}  # fmt: skip
    assert set(calls) | elsewhere == set(ff.plots.__all__)  # those of mixtures and geometry have tests of their own
    for draw in calls.values():
        _, given = plt.subplots()
        assert draw(given) is given
        new = draw(None)
        assert new is not given
        assert new.get_xlabel()
        assert new.get_ylabel() or draw is calls["coefficients"]
        new.figure.canvas.draw()
        plt.close("all")
    with pytest.raises(ff.InputTypeError, match="matplotlib axes"):
        calls["qq"]("here")


def test_matplotlib_is_imported_when_a_figure_is_drawn():
    code = "import sys, fisherfit as ff; ff.plots.qq; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_coefficients_are_the_estimates_with_their_intervals(fits):
    model, _ = fits["births"]
    ax = ff.plots.coefficients(model, level=0.9)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["age", "lwt", "race[T.black]", "race[T.other]", "smoke"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), model.result_.params[names])
    ends = np.array([segment[:, 0] for segment in ax.collections[0].get_segments()])
    np.testing.assert_allclose(ends, model.result_.conf_int(0.9).loc[names])
    assert ax.get_xlabel() == "coefficient, 90% interval"
    result = replace(model.result_, cov_type="HC3")
    assert ff.plots.coefficients(result, level=0.9).get_xlabel() == "coefficient, 90% interval (HC3 covariance)"
    assert "Intercept" in [t.get_text() for t in ff.plots.coefficients(model, intercept=True).get_yticklabels()]
    ratio = ff.plots.coefficients(model, exponentiate=True)
    np.testing.assert_allclose(ratio.lines[1].get_xdata(), np.exp(model.result_.params[names]))
    assert ratio.get_xscale() == "log"
    other = model.result_.conf_int() * 2.0
    ends = ff.plots.coefficients(model.result_, intervals=other).collections[0].get_segments()
    np.testing.assert_allclose([s[:, 0] for s in ends], other.loc[names])


def test_infinite_coefficients_are_named():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        model = ff.GLM("binomial", formula="HG ~ NV + PI + EH").fit(data)
    ax = ff.plots.coefficients(model)
    assert [text.get_text() for text in ax.texts] == ["infinite estimate (+)"]
    assert len(ax.lines[1].get_xdata()) == 2
    d = model.diagnostics(data)
    for draw in (ff.plots.residuals, ff.plots.qq, ff.plots.worm, ff.plots.influence, ff.plots.calibration):
        draw(d).figure.canvas.draw()


def test_residuals_are_drawn_where_they_belong(fits):
    _, d = fits["trees"]
    drawn = points(ff.plots.residuals(d, "girth", "deviance"))
    np.testing.assert_allclose(drawn, np.column_stack([TREES["girth"], d.resid_deviance]))
    drawn = points(ff.plots.residuals(d, TREES["height"] * 2))
    np.testing.assert_allclose(drawn, np.column_stack([TREES["height"] * 2, d.resid_quantile]))
    assert not lines(ff.plots.residuals(d, smoother=False), "local regression")
    assert lines(ff.plots.residuals(d), "local regression")
    ax = ff.plots.residuals(fits["nb"][1], "age")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["F0", "F1", "F2", "F3"]


def test_a_straight_line_is_smoothed_to_itself():
    from fisherfit.plots._style import smooth

    x = np.sort(np.random.default_rng(1).random(200))
    grid, level = smooth(x, 2.0 - 3.0 * x)
    np.testing.assert_allclose(level, 2.0 - 3.0 * grid, atol=1e-12)


def test_very_many_points_are_thinned_and_the_extreme_ones_kept():
    from fisherfit.plots._style import MOST, dots

    _, ax = plt.subplots()
    x = np.arange(100_000.0)
    y = np.zeros(x.size)
    y[77_777] = 9.0
    dots(ax, x, y)
    drawn = points(ax)
    assert len(drawn) <= MOST + 200
    assert [77_777.0, 9.0] in drawn.tolist()


def test_quantiles_and_their_envelope(fits):
    _, d = fits["nb"]
    ax = ff.plots.qq(d)
    drawn = points(ax)
    order = np.argsort(drawn[:, 1])
    np.testing.assert_allclose(drawn[order, 1], np.sort(d.resid_quantile))
    np.testing.assert_allclose(drawn[order, 0], special.ndtri((np.arange(1, 147) - 0.5) / 146))
    band = ax.collections[0].get_paths()[0].vertices
    middle = band[np.argmin(np.abs(band[:, 0] - drawn[order, 0][72]) + 10 * (band[:, 1] > band[:, 0]))]
    assert middle[1] == pytest.approx(stats.norm.ppf(stats.beta.ppf(0.025, 73, 74)), rel=1e-6)
    worm = points(ff.plots.worm(d))
    np.testing.assert_allclose(np.sort(worm[:, 1] + worm[:, 0]), np.sort(d.resid_quantile), atol=1e-12)


def test_the_simulated_envelope_holds_a_right_model_and_not_a_wrong_one(fits):
    _, right = fits["nb"]
    wrong = ff.GLM("poisson", formula=DAYS).fit(QUINE).diagnostics(QUINE)
    shares = []
    for d in (right, wrong):
        ax = ff.plots.qq(d, "deviance", simulations=99)
        assert ax.get_ylabel() == "deviance residual"
        outside = next(c for c in ax.collections if c.get_label() == "outside")
        shares.append(len(outside.get_offsets()) / 146)
    assert shares[0] < 0.15
    assert shares[1] > 0.6


def test_a_rootogram_hangs_the_observed_from_the_expected(fits):
    _, d = fits["crabs"]
    ax = ff.plots.rootogram(d)
    y, mu = CRABS["satellites"].to_numpy(), d.fitted
    expected = np.sqrt([stats.poisson.pmf(k, mu).sum() for k in range(16)])
    observed = np.sqrt(np.bincount(y, minlength=16))
    np.testing.assert_allclose(lines(ax, "expected")[0].get_ydata(), expected, rtol=1e-10)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], observed)
    np.testing.assert_allclose([bar.get_y() for bar in ax.patches], expected - observed, atol=1e-10)
    assert ax.get_xlabel() == "satellites"
    assert len(ff.plots.rootogram(d, most=4).patches) == 5
    _, d = fits["nb"]
    alpha = d.theta[1][0]
    exact = np.sqrt([stats.nbinom.pmf(k, 1 / alpha, 1 / (1 + alpha * d.fitted)).sum() for k in range(61)])
    np.testing.assert_allclose(lines(ff.plots.rootogram(d), "expected")[0].get_ydata(), exact, rtol=1e-9)


def test_contours_of_cooks_distance_are_where_it_has_their_value(fits):
    _, d = fits["trees"]
    ax = ff.plots.influence(d, cook=0.2)
    contours = [line for line in ax.lines if len(line.get_xdata()) == 400]
    assert len(contours) == 2
    for line in contours:
        h, r = line.get_xdata(), line.get_ydata()
        np.testing.assert_allclose(r**2 * h / (1 - h) / d.rank, 0.2)
    np.testing.assert_allclose(points(ax), np.column_stack([d.leverage, d.std_pearson]))
    assert [text.get_text() for text in ax.texts][:3] == [str(i) for i in d.influential(3).index]


def test_a_profile_marks_its_interval():
    ax = ff.plots.profile(Traces(), "girth")
    ends = sorted(float(text.get_text()) for text in ax.texts)
    assert ends == pytest.approx([1.0 - 0.8 * 1.959964, 1.0 + 0.8 * 1.959964], abs=0.006)
    wald, curve = lines(ax, "Wald")[0], lines(ax, "profile")[0]
    np.testing.assert_allclose(
        np.interp(curve.get_xdata(), wald.get_xdata(), wald.get_ydata()), curve.get_ydata(), atol=1e-9
    )
    assert ax.get_xlabel() == "girth"

    class OneSided(Traces):
        def trace(self, name):
            return super().trace(name).query("tau < -0.2")

        def conf_int(self, level):
            return pd.DataFrame({"lower": [-0.5], "upper": [np.inf]}, index=["girth"])

    ax = ff.plots.profile(OneSided(), "girth")
    assert not lines(ax, "Wald")
    assert [text.get_text() for text in ax.texts] == ["-0.5"]


def test_an_effect_is_the_prediction_with_its_delta_band(fits):
    model, _ = fits["births"]
    ax = ff.plots.effect(model, BIRTHS, "lwt", at={"smoke": 1, "race": "black"}, points=7)
    lwt = ax.lines[0].get_xdata()
    rows = pd.DataFrame(
        {
            "age": BIRTHS["age"].mean(),
            "lwt": lwt,
            "smoke": 1.0,
            "race": pd.Categorical(["black"] * 7, ["white", "black", "other"]),
        }
    )
    np.testing.assert_allclose(ax.lines[0].get_ydata(), model.predict(rows), rtol=1e-12)
    x = np.column_stack([np.ones(7), rows["age"], lwt, np.ones(7), np.zeros(7), np.ones(7)])
    names = ["Intercept", "age", "lwt", "race[T.black]", "race[T.other]", "smoke"]
    covariance = model.result_.cov_params().loc[names, names].to_numpy()
    eta, se = model.predict(rows, kind="link"), np.sqrt(np.einsum("ij,jk,ik->i", x, covariance, x))
    band = ax.collections[0].get_paths()[0].vertices
    for side in (-1, 1):
        expected = special.expit(eta + side * 1.959964 * se)
        for point in np.column_stack([lwt, expected]):
            assert np.min(np.abs(band - point).sum(axis=1)) < 1e-5
    ax = ff.plots.effect(model, BIRTHS, "race", kind="link")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["white", "black", "other"]
    assert ax.get_ylabel() == "linear predictor"


def test_effects_of_arrays_and_of_exposures():
    x = TREES[["girth", "height"]].to_numpy()
    model = ff.GLM("gamma").fit(x, TREES["volume"].to_numpy())
    ax = ff.plots.effect(model, x, "x0", points=5)
    rows = np.column_stack([np.linspace(x[:, 0].min(), x[:, 0].max(), 5), np.full(5, x[:, 1].mean())])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), model.predict(rows))
    data = ff.datasets.load("insurance")
    model = ff.GLM("poisson", formula="claims ~ age + group").fit(data, exposure="holders")
    ax = ff.plots.effect(model, data, "age")
    data["holders"] = data["holders"].to_numpy() * 0.0 + data["holders"].mean()
    found = ax.lines[0].get_ydata()
    assert found[0] == pytest.approx(model.predict(data[(data["age"] == "<25") & (data["group"] == "<1l")])[0])


def test_calibration_shows_groups_and_the_line(fits):
    _, d = fits["births"]
    ax = ff.plots.calibration(d, groups=5)
    (bars,) = ax.containers[:1] if len(ax.containers) == 1 else [c for c in ax.containers if hasattr(c, "has_yerr")]
    shares = bars.lines[0].get_ydata()
    table = ff.checks.hosmer_lemeshow(d, 5).details["table"]
    np.testing.assert_allclose(shares, table["observed"] / table["trials"])
    np.testing.assert_allclose(bars.lines[0].get_xdata(), table["expected"] / table["trials"])
    (perfect,) = lines(ax, "perfect")
    np.testing.assert_array_equal(perfect.get_xdata(), [0, 1])


def test_wrong_input_is_refused(fits):
    (nb, dn), (_, dt), (births, db) = fits["nb"], fits["trees"], fits["births"]
    cases = [
        (lambda: ff.plots.qq(nb), "model.diagnostics"),
        (lambda: ff.plots.residuals(QUINE), "model.diagnostics"),
        (lambda: ff.plots.residuals(dn, "lrnn"), "no column of X"),
        (lambda: ff.plots.residuals(dn, [1.0, 2.0]), "has 2 values"),
        (lambda: ff.plots.residuals(dn, kind="raw"), "kind: 'raw'"),
        (lambda: ff.plots.qq(dn, level=95), "level"),
        (lambda: ff.plots.qq(dn, "pearson", simulations=3), "at least 19"),
        (lambda: ff.plots.rootogram(dt), "models of counts"),
        (lambda: ff.plots.rootogram(dn, most=0), "most"),
        (lambda: ff.plots.influence(dn, cook=(0.0,)), "greater than 0"),
        (lambda: ff.plots.coefficients(ff.GLM()), "has fit been called"),
        (lambda: ff.plots.coefficients(nb, intervals=pd.DataFrame({"lower": [1.0]})), "'lower' and 'upper'"),
        (lambda: ff.plots.profile(nb, "x"), "model.profile"),
        (lambda: ff.plots.effect(births, BIRTHS, "bwt"), "no column of the model"),
        (lambda: ff.plots.effect(births, BIRTHS, "lwt", at={"race": "green"}), "no value of 'race'"),
        (lambda: ff.plots.effect(births, BIRTHS, "lwt", at={"lwt": 3}), "leave it out"),
        (lambda: ff.plots.effect(births, BIRTHS, "lwt", kind="odds"), "kind: 'odds'"),
        (lambda: ff.plots.calibration(dn), "probabilities"),
        (lambda: ff.plots.calibration(db, groups=1), "groups"),
    ]  # fmt: skip
    for case, message in cases:
        with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
            case()
    assert not plt.get_fignums()


# families and optimisers


def test_kl_balls_are_what_they_say():
    """Every point of an outline is at the radius; the ellipse at the second-order radius; the circle is Euclidean."""
    centres = [(-2.0, 0.5), (1.0, 2.0)]
    ax = ff.plots.kl_balls("normal", centres, radius=0.2, euclidean=0.3)
    balls, ellipses, circles = (
        [line for line in ax.lines if line.get_label() in names]
        for names in (
            ("KL ball", "_ball"),
            ("½ d′Fd, the Fisher ellipse", "_ellipse"),
            ("Euclidean ball", "_euclidean"),
        )
    )
    assert [len(found) for found in (balls, ellipses, circles)] == [2, 2, 2]
    for (m, s), ball, ellipse, circle in zip(centres, balls, ellipses, circles, strict=True):
        mu, sigma = ball.get_data()
        kl = np.log(sigma / s) + (s**2 + (mu - m) ** 2) / (2.0 * sigma**2) - 0.5
        np.testing.assert_allclose(kl, 0.2, rtol=1e-6)
        mu, sigma = ellipse.get_data()
        np.testing.assert_allclose(0.5 * ((mu - m) ** 2 + 2.0 * (sigma - s) ** 2) / s**2, 0.2, rtol=1e-12)
        np.testing.assert_allclose(np.hypot(*(np.array(circle.get_data()) - [[m], [s]])), 0.3, rtol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("mu", "sigma")
    other = plt.subplots()[1]
    p = ff.geometry.Distribution("beta", mu=0.2, phi=4.0)
    assert ff.geometry.plot_kl_balls("beta", [p], radius=[0.05, 0.2], parameters=("mu", "phi"), ax=other) is other
    assert len(other.lines) == 2 * 2 + 1  # two radii, the centre, no circle
    with pytest.raises(ff.InputError, match="radius"):
        ff.plots.kl_balls("normal", centres, radius=0.0)
    with pytest.raises(ff.InputError, match="other parameters"):
        ff.plots.kl_balls("beta", [p], parameters=("mu", "sigma"))
    with pytest.raises(ff.InputError, match="pairs of"):
        ff.plots.kl_balls("normal", [(1.0, 2.0, 3.0)])


class Run:
    """What the figures need of a result."""

    def __init__(self, method, values):
        self.method = method
        a = np.asarray(values, float)
        self.history = pd.DataFrame(
            {"iteration": np.arange(a.size), "loglik": -(a**2), "decrement": a**2, "a": a, "b": -a}
        )


def test_a_trace_of_few_steps_beside_thousands_has_no_negative_ones():
    few, many = Run("natural", [3.0, 0.5, 0.0]), Run("gradient", np.linspace(3.0, 0.1, 2000))
    ax = ff.plots.trace([few, many], "gap")
    ax.figure.canvas.draw()
    assert ax.get_xscale() == "symlog"
    assert -0.5 <= ax.get_xlim()[0] <= 0.0
    assert ax.get_xlim()[1] >= 1999
    shown = [label.get_text() for label in ax.get_xticklabels() if label.get_text()]
    assert shown[:3] == ["0", "5", "10"]
    assert "1000" in shown


def test_paths_in_panels_that_share_an_axis_are_whole():
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    low, high = Run("low", [0.0, 1.0, 2.0]), Run("high", [-9.0, -4.0, 0.0])
    ff.plots.paths(low, loglik=lambda a, b: -(a**2) - b**2, ax=left)
    ff.plots.paths(high, loglik=lambda a, b: -(a**2) - b**2, ax=right)
    figure.canvas.draw()
    for ax, run in ((left, low), (right, high)):
        for limits, name in ((ax.get_xlim(), "a"), (ax.get_ylim(), "b")):
            assert limits[0] < run.history[name].min()
            assert limits[1] > run.history[name].max()
        (contours,) = (c for c in ax.collections if isinstance(c, mpl.contour.ContourSet))
        top = max(path.vertices[:, 1].max() for path in contours.get_paths() if len(path.vertices))
        assert top > 0.7 * ax.get_ylim()[1], "the contours cover the panel, which has grown"


def test_paths_and_traces():
    fast, slow = Run("scoring", [3.0, 0.5, 0.0]), Run("gradient", [3.0, 2.0, 1.0, 0.5])
    ax = ff.plots.paths([fast, slow], loglik=lambda a, b: -(a**2) - b**2)
    np.testing.assert_array_equal(lines(ax, "scoring")[0].get_xydata(), fast.history[["a", "b"]].to_numpy())
    np.testing.assert_array_equal(lines(ax, "gradient")[0].get_xydata(), slow.history[["a", "b"]].to_numpy())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    (contours,) = (c for c in ax.collections if isinstance(c, mpl.contour.ContourSet))
    height = {round(float(level), 6): path for level, path in zip(contours.levels, contours.get_paths(), strict=True)}
    # 1 nat below the top, which is 0 near the middle of the plane, is the circle of radius 1
    np.testing.assert_allclose(np.hypot(*height[1.0].vertices.T), 1.0, atol=0.01)
    ax = ff.geometry.plot_trace({"one": fast, "two": slow}, "gap")
    np.testing.assert_array_equal(lines(ax, "two")[0].get_xydata(), [[0, 9], [1, 4], [2, 1], [3, 0.25]])
    np.testing.assert_array_equal(lines(ax, "one")[0].get_xydata(), [[0, 9], [1, 0.25]])  # the best one has no gap
    assert ax.get_yscale() == "log"
    ax = ff.plots.trace([fast, fast.history], "loglik")
    assert len(ax.lines) == 2
    assert ax.get_yscale() == "linear"
    assert ff.geometry.plot_paths is ff.plots.paths
    with pytest.raises(ff.InputError, match="'norm' is not known"):
        ff.plots.trace(fast, "norm")
    with pytest.raises(ff.InputError, match="no column 'c'"):
        ff.plots.paths(fast, parameters=("a", "c"))
    with pytest.raises(ff.InputError, match="no column 'seconds'"):
        ff.plots.trace(fast, against="seconds")
    with pytest.raises(ff.InputTypeError, match="no `history`"):
        ff.plots.paths(3.0)
    with pytest.raises(ff.InputError, match="is empty"):
        ff.plots.trace(fast.history[:0])
