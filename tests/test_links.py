"""Links: the inverse and its derivatives against mpmath, in both tails; names, pickles, links of one's own."""

import copy
import math
import pickle

import mpmath as mp
import numpy as np
import pytest

import fisherfit as ff
from fisherfit.elementary import HUGE, TINY
from fisherfit.errors import InputError
from fisherfit.links import LINKS, LINKS_BY_SUPPORT, Link, Power, check_pair, get_link

from .oracles import EPS, ulps
from .oracles import link as oracle

POWERS = {f"power({k:g})": Power(k) for k in (2.0, 3.0, 0.5, -0.5, -1.0, -2.0)}
ALL = {**LINKS, **POWERS}
UNIT = [name for name in LINKS_BY_SUPPORT["unit"] if name not in ("identity", "log")]
RNG = np.random.default_rng(20260102)
MODERATE = np.r_[
    np.linspace(-6, 6, 49),
    RNG.uniform(-37, 37, 60),
    RNG.choice([-1.0, 1.0], 40) * 10.0 ** RNG.uniform(-12, 0, 40),
]
FAR = np.r_[-37.0, 37.0, -300.0, 300.0, -700.0, 700.0]
BEYOND = np.r_[-800.0, 800.0, -1e5, 1e5]
#: the bound: 4 ulp and twice what a change of eta by one ulp makes
SLACK = 4.0


def inside(link, etas):
    low, high = link.eta_bounds
    return [
        float(e)
        for e in etas
        if low < e < high and (e != 0.0 or link.name in ("identity", "sqrt") or link.name in UNIT or link.name == "log")
    ]


def condition(name, eta, part):
    """|eta f'(eta) / f(eta)|: ulps of f for one ulp of eta."""
    with mp.workdps(50):
        f = oracle(name, eta)[part]
        h = abs(mp.mpf(eta)) * mp.mpf(10) ** -20 or mp.mpf(10) ** -20
        slope = (oracle(name, mp.mpf(eta) + h)[part] - f) / h
        return float(abs(eta * slope / f)) if f else 0.0


def representable(value):
    return 2.3e-308 < abs(value) < 1.7e308


def misses(link, etas, parts, factor=1.0):
    """Where a value is farther from the oracle's than the bound allows."""
    out = []
    for eta in inside(link, etas):
        got, true = link.inverse(eta), oracle(link.name, eta)
        for part in parts:
            if representable(true[part]):
                # the second derivative has a zero: there it counts in units of the first
                unit = max(abs(float(t)) for t in (true[2:] if part == 3 else true[part : part + 1]))
                if ulps(got[part] * factor, true[part], unit) > SLACK + 2.0 * condition(link.name, eta, part):
                    out.append((eta, part, got[part], true[part]))
    return out


@pytest.mark.parametrize("name", ALL)
def test_inverse_and_derivatives(name):
    assert misses(ALL[name], np.r_[MODERATE, FAR], (0, 2, 3)) == []


@pytest.mark.parametrize("name", UNIT)
def test_the_complement_is_exact_too(name):
    assert misses(ALL[name], np.r_[MODERATE, FAR], (1,)) == []


def test_log_of_a_probability_has_its_complement():
    assert misses(LINKS["log"], -np.abs(np.r_[MODERATE, FAR]), (1,)) == []


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("part", [0, 2])
def test_the_bound_can_fail(name, part):
    if name == "identity" and part == 2:
        return
    wrong = misses(ALL[name], np.linspace(0.1, 2.0, 20), (part,), 1.0 + 1e-6)
    assert len(wrong) == 20


@pytest.mark.parametrize("name", ALL)
def test_beyond_the_range_of_doubles(name):
    link = ALL[name]
    for eta in inside(link, np.r_[FAR, BEYOND]):
        theta, complement, d, d2 = link.inverse(eta)
        assert all(math.isfinite(v) for v in (theta, d, d2))
        if name in UNIT:
            assert min(theta, complement) >= TINY
            assert max(theta, complement) <= 1.0
        if name == "log":
            assert TINY <= theta <= HUGE
            assert d == d2 == theta
        elif name in UNIT or name == "cauchit":
            assert d > 0.0


@pytest.mark.parametrize("name", UNIT)
@pytest.mark.parametrize("eta", [-37.0, 37.0, -200.0, 200.0, -700.0, 700.0, -800.0, 800.0])
def test_ratios_are_kept_where_probabilities_underflow(name, eta):
    """The scores d/p and d/q are right however small p and q are (the complementary ones up to e^230)."""
    link = LINKS[name]
    p, q, d, _ = link.inverse(eta)
    at = math.copysign(min(abs(eta), 230.0), eta) if "loglog" in name and (eta > 0) == (name == "cloglog") else eta
    with mp.workdps(50):
        e = mp.mpf(at)
        if name == "logit":
            true = (1 / (1 + mp.exp(e)), 1 / (1 + mp.exp(-e)))
        elif name == "probit":
            true = (mp.npdf(e) / mp.ncdf(e), mp.npdf(e) / mp.ncdf(-e))
        elif name == "cauchit":
            true = tuple(oracle(name, e)[2] / oracle(name, e)[i] for i in (0, 1))
        else:
            m = mp.exp(e if name == "cloglog" else -e)
            rare = m / mp.expm1(m) if m < 1e6 else mp.mpf(0)
            true = (rare, m) if name == "cloglog" else (m, rare)
        for ratio, exact in zip((d / p, d / q), true, strict=True):
            assert abs(ratio - exact) <= 1e-12 * exact + 1e-100


@pytest.mark.parametrize("name", ALL)
def test_not_a_number_stays_one(name):
    assert math.isnan(ALL[name].inverse(math.nan)[0])


@pytest.mark.parametrize("name", ALL)
def test_outside_the_domain_theta_is_nan(name):
    low, _ = ALL[name].eta_bounds
    if low == 0.0:
        assert all(math.isnan(v) for v in ALL[name].inverse(-1.0))
        assert np.isnan(ALL[name].mean([-1.0, 1.0])).tolist() == [True, False]
    if name.startswith("inverse"):
        assert math.isnan(ALL[name].inverse(0.0)[0])


@pytest.mark.parametrize("name", ALL)
def test_forward_undoes_inverse(name):
    link = ALL[name]
    for eta in inside(link, np.linspace(-3, 3, 25)):
        theta, _, d, _ = link.inverse(eta)
        rounding = EPS * abs(theta / d)  # what the rounding of theta does to eta
        assert float(link.forward(theta)) == pytest.approx(eta, rel=1e-14, abs=4 * rounding + 1e-14)


@pytest.mark.parametrize("name", ALL)
def test_arrays_equal_scalars(name):
    link = ALL[name]
    etas = np.array(inside(link, MODERATE))
    scalar = np.array([link.inverse(e) for e in etas])
    np.testing.assert_allclose(link.mean(etas), scalar[:, 0], rtol=1e-12, atol=3e-308)
    np.testing.assert_array_equal(link.slope(etas), scalar[:, 2])
    assert link.mean(etas.reshape(1, -1)).shape == link.slope(etas.reshape(1, -1)).shape == (1, etas.size)
    assert link.mean([etas[0]]).dtype == float


@pytest.mark.parametrize("name", ALL)
def test_arrays_give_no_numpy_warnings(name):
    low, high = ALL[name].eta_bounds
    assert ALL[name].mean(np.r_[FAR, BEYOND, 0.0, low, high]).shape == (13,)


@pytest.mark.parametrize("name", ALL)
def test_equal_after_pickling_and_copying(name):
    link = ALL[name]
    for other in (pickle.loads(pickle.dumps(link)), copy.deepcopy(link), get_link(name)):
        assert other == link
        assert hash(other) == hash(link)
        assert other.name == name
    assert link != get_link("log" if name != "log" else "logit")
    assert repr(link) == f"<link {name}>"


def test_names_and_aliases():
    for alias, name in {
        "inverse_power": "inverse",
        "1/mu^2": "inverse_squared",
        " Logistic ": "logit",
        "CAUCHY": "cauchit",
    }.items():
        assert get_link(alias) is LINKS[name]
    assert get_link("power(0.25)") == Power(0.25)
    for wrong in ("logg", "power(x)", "power(0)", "power(nan)", 3, None):
        with pytest.raises(InputError, match="link"):
            get_link(wrong)
    with pytest.raises(InputError, match="link='log'"):
        Power(0.0)


def test_every_listed_link_exists():
    for support, names in LINKS_BY_SUPPORT.items():
        for name in names:
            check_pair(get_link(name.replace("(k)", "(2)")), support, "any")
    with pytest.raises(InputError, match="'logit' is not defined for the poisson family; choose one of log"):
        check_pair(get_link("logit"), "positive", "poisson")
    with pytest.raises(InputError, match="not defined"):
        check_pair(Power(2.0), "unit", "binomial")


def square(eta):
    return eta * eta, 1.0 - eta * eta, 2.0 * eta, 2.0


def quartic(eta):
    return eta**4, 1.0 - eta**4, 4.0 * eta**3, 12.0 * eta**2


def test_a_link_of_ones_own():
    mine = Link("square", square, np.sqrt, (0.0, math.inf))
    assert mine == Link("square", square, np.sqrt)
    assert mine != Link("square", quartic, np.sqrt)
    assert Link("log", square, np.sqrt) != LINKS["log"]
    assert pickle.loads(pickle.dumps(mine)) == mine
    assert copy.deepcopy(mine) == mine
    np.testing.assert_array_equal(mine.mean([[1.0, 2.0]]), [[1.0, 4.0]])
    np.testing.assert_array_equal(Link("log", square, np.sqrt).mean([3.0]), [9.0])


def test_a_link_of_ones_own_in_a_model():
    x = np.linspace(0.0, 1.0, 40)[:, None]
    y = RNG.poisson((1.0 + x[:, 0]) ** 2).astype(float)
    theirs = ff.GLM("poisson", "sqrt").fit(x, y)
    mine = ff.GLM("poisson", Link("square", square, np.sqrt, (0.0, math.inf))).fit(x, y)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=1e-12)
    other = ff.GLM("poisson", Link("square", quartic, lambda t: t**0.25, (0.0, math.inf))).fit(x, y)
    reference = ff.GLM("poisson", Power(0.25)).fit(x, y)
    np.testing.assert_allclose(other.coef_, reference.coef_, rtol=1e-10)
