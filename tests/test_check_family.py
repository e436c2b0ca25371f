"""The checker finds what is wrong, says where, and never blames a right formula."""

import math

import pytest

import fisherfit as ff


@pytest.mark.parametrize("name", list(ff.families.FAMILIES))
def test_own_families_are_right(name):
    report = ff.check_family(name)
    assert report.ok, str(report)


def family(**formulas):
    base = {
        "parameters": {"mu": "positive"},
        "support": ff.Support(0.0),
        "log_density": staticmethod(lambda y, mu: -math.log(mu) - y / mu),
    }
    return type(
        "Exponential", (ff.Family,), {**base, **{k: staticmethod(v) if callable(v) else v for k, v in formulas.items()}}
    )


def test_a_log_density_alone_is_enough():
    report = ff.check_family(family())
    assert report.ok
    assert report.formulas["score"] == "by differences"
    assert "ok" in str(report)


def test_right_formulas_pass():
    report = ff.check_family(
        family(
            score=lambda y, mu: ((y - mu) / mu**2,),
            observed=lambda y, mu: ((2 * y - mu) / mu**3,),
            fisher=lambda mu: (1 / mu**2,),
        )
    )
    assert report.ok, str(report)
    report.raise_if_failed()


@pytest.mark.parametrize(
    ("formulas", "which"),
    [
        ({"score": lambda y, mu: ((mu - y) / mu**2,)}, "score"),
        ({"score": lambda y, mu: ((y - mu) / mu**2 * (1 + 1e-5),)}, "score"),
        ({"score": lambda y, mu: (y - mu, mu)}, "tuple of 1"),
        ({"observed": lambda y, mu: (1 / mu**2,)}, "observed"),
        ({"fisher": lambda mu: (1 / mu,)}, "fisher"),
        ({"log_density": lambda y, mu: math.nan}, "inside the declared support"),
    ],
)
def test_wrong_formulas_are_named(formulas, which):
    report = ff.check_family(family(**formulas))
    assert not report.ok
    assert which in report.problems[0]
    assert "at " in report.problems[0]
    with pytest.raises(ff.FisherfitError, match=which):
        report.raise_if_failed()


def test_a_formula_that_cannot_be_compiled_is_said_to_be_so():
    report = ff.check_family(family(log_density=lambda y, mu: math.fsum((-math.log(mu), -y / mu))))
    assert report.ok
    assert report.formulas["compiled"].startswith("not compiled")


def test_wrong_points_are_refused():
    with pytest.raises(ff.InputError, match="one number each"):
        ff.check_family("poisson", theta=[(1.0, 2.0)])
