"""The first fit of a process: imports stay light, `warmup` leaves nothing to compile, and says so where it cannot."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fisherfit as ff
from fisherfit import cli, warming

PACKAGE = Path(ff.__file__).parent
OTHERS = (
    "sklearn", "joblib", "pandas", "narwhals", "polars", "pyarrow", "dask", "scipy.stats", "scipy.optimize",
    "scipy.sparse", "matplotlib", "formulaic", "statsmodels", "rich",
)  # fmt: skip
LATER = (
    *OTHERS, "fisherfit.family_checks", "fisherfit.cli", "fisherfit.convergence", "fisherfit.datasets", "fisherfit.formula",
    "fisherfit.summary", "fisherfit.warming",
)  # fmt: skip

FITS = """
import sys, warnings; warnings.simplefilter("ignore", UserWarning)
import numpy as np, pandas as pd, fisherfit as ff
from fisherfit import _jit
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3)); mu = np.exp(0.5 + X @ [0.2, -0.1, 0.0])
y = rng.poisson(mu).astype(float)
table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
    g=rng.choice(list("uvw"), 80), h=pd.Categorical(rng.choice(list("st"), 80)), t=rng.uniform(1, 2, 80), y=y)
X.flags.writeable = False
with _jit.compilations() as compiled:
    for family in sys.argv[1:]:
        model = ff.GLM(family).fit(X, y)
        model.predict(X), model.score(X, y), model.summary()
        ff.GLM(family, cov_type="HC0").fit(X.astype("f4")[::2], y.astype(int)[::2], sample_weight=table.t[::2])
        ff.GLM(family, fit_intercept=False, dispersion="ml").fit(np.asfortranarray(X), y, offset=0.1 * X[:, 0])
        ff.GLM(family, cov_type="observed").fit(table.drop(columns="y"), y, sample_weight="t", offset="a")
        ff.GLM(family, formula="y ~ a + C(g) * h").fit(table).predict(table)
print(compiled, repr(model.coef_.tolist()))
"""


def python(code, *arguments, **env):
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **{k: str(v) for k, v in env.items()}},
    )  # fmt: skip


def output(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


def files(folder):
    return sorted(str(path) for path in folder.rglob("*.nb?"))


# imports


def test_import_loads_what_every_fit_needs_and_no_more():
    code = f"import sys, fisherfit; print([m for m in {LATER!r} if m in sys.modules], 'numba' in sys.modules)"
    assert output(python(code)) == "[] True"


@pytest.mark.parametrize("family", ["normal", "poisson", "binomial"])
def test_a_fit_of_arrays_with_its_summary_loads_no_more(family):
    code = f"""
import sys, numpy as np, fisherfit as ff
x = np.linspace(-1.0, 1.0, 40)[:, None]
model = ff.GLM(sys.argv[1]).fit(x, (np.sin(9.0 * x[:, 0]) > 0.0).astype(float))
model.predict(x), model.score(x, model.predict(x).round()), model.get_params(), model.set_params(tol=1e-16)
print(len(str(model.summary())) > 500, repr(model), repr(model.result_.certificate)[:11])
print([m for m in {OTHERS!r} if m in sys.modules], model.result_.params.shape, 'pandas' in sys.modules)
"""
    first, second = output(python(code, family)).splitlines()
    assert first == f"True GLM({'' if family == 'normal' else f'family={family!r}, '}tol=1e-16) Certificate"
    assert second == "[] (2,) True"  # the frame brings pandas: this can fail


def test_names_that_are_loaded_later():
    code = (
        "import fisherfit as ff; before = dir(ff); from fisherfit import *; "
        "print(set(ff.__all__) <= set(before), all(name in globals() for name in ff.__all__), "
        "ff.check_family is check_family, ff.datasets.load('trees').shape, ff.__version__ == ff.__version__)"
    )
    assert output(python(code)) == "True True True (31, 3) True"


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="module 'fisherfit' has no attribute 'GML'"):
        _ = ff.GML


def test_public_functions_and_models_can_be_pickled():
    assert pickle.loads(pickle.dumps(ff.check_family)) is ff.check_family
    assert pickle.loads(pickle.dumps(ff.warmup)) is ff.warmup
    X = np.linspace(-1.0, 1.0, 20)[:, None]
    model = ff.GLM().fit(X, np.sin(5.0 * X[:, 0]))
    code = "import pickle, sys; print(repr(pickle.loads(bytes.fromhex(sys.argv[1])).coef_.tolist()))"
    assert output(python(code, pickle.dumps(model).hex())) == repr(model.coef_.tolist())


# warmup


def test_after_warmup_nothing_is_compiled_and_no_file_is_added(tmp_path):
    names = ["normal", "poisson"]
    warm = "import sys, fisherfit as ff; d = ff.warmup(sys.argv[1:]); print(d.compiled > 5, d.folder)"
    assert output(python(FITS, "poisson", NUMBA_CACHE_DIR=tmp_path / "cold")).startswith("['")  # the count can fail
    yes, folder = output(python(warm, *names, NUMBA_CACHE_DIR=tmp_path / "warm")).split()
    assert yes == "True"
    assert Path(folder).is_relative_to(tmp_path / "warm")
    before = files(tmp_path / "warm")
    assert before
    assert output(python(FITS, *names, NUMBA_CACHE_DIR=tmp_path / "warm")).startswith("[] [")
    assert files(tmp_path / "warm") == before


def test_two_processes_that_compile_at_once_end_right(tmp_path):
    both = [python(FITS, "poisson", NUMBA_CACHE_DIR=tmp_path) for _ in range(2)]
    answers = {output(process).split("] ")[1] for process in both}
    assert len(answers) == 1
    third = output(python(FITS, "poisson", NUMBA_CACHE_DIR=tmp_path))
    assert third == f"[] {answers.pop()}"


def test_where_nothing_can_be_written(tmp_path):
    """Files where folders should be: not even root can write there."""
    copy = tmp_path / "fisherfit"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (copy, copy / "families", copy / "estimators"):
        (folder / "__pycache__").write_text("")
    nowhere = {"NUMBA_CACHE_DIR": "/dev/null/x", "HOME": "/dev/null/x", "XDG_CACHE_HOME": "/dev/null/x"}
    nowhere["PYTHONPATH"] = str(tmp_path)
    code = """
import warnings, numpy as np, fisherfit as ff
from fisherfit import cli
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(ff.warmup("normal"), len(caught), "set NUMBA_CACHE_DIR" in str(caught[0].message))
print(cli.main(["warmup"]))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for family in ("normal", "gamma"):
        model = ff.GLM(family).fit(np.arange(6.0)[:, None], [1, 2, 4, 3, 6, 5])
    print([w.category.__name__ for w in caught], model.converged_)
"""
    process = python(code, **nowhere)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    first, second, third = out.strip().splitlines()
    assert first.endswith("1 True")
    assert "folder=None" in first
    assert second == "1"
    assert err.count("no folder for compiled code can be written") == 1
    assert third == "['CompilationWarning'] True"


def test_command(capsys):
    assert cli.main(["warmup", "--families", "poisson", "gaussian"]) == 0
    cli.main(["warmup", "--families", "poisson"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["poisson, log", "normal, identity"]
    assert Path(lines[4]).is_dir()
    assert "on disk already" in lines[5]
    assert lines[7].startswith("0 kernels compiled in ")


def test_unknown_families_are_refused(capsys):
    assert cli.main(["warmup", "--families", "poison"]) == 2
    assert "'poison' is not a family" in capsys.readouterr().err
    with pytest.raises(ff.InputError, match="'poison' is not a family"):
        ff.warmup(["normal", "poison"])


def test_the_common_families_are_registered():
    assert set(warming.COMMON) <= set(ff.families.FAMILIES)


@pytest.mark.parametrize("name", ff.families.FAMILIES)
def test_made_up_responses_lie_in_the_support(name):
    family = ff.families.get_family(name)
    y = warming._response(family)
    assert not family.support.outside(y).any()
    assert np.unique(y).size > 1


def test_all_links_of_a_family():
    links = warming._links(ff.Binomial(), True)
    assert links == ["logit", "probit", "cloglog", "loglog", "cauchit", "log", "identity"]
    assert warming._links(ff.Gamma(), False) == ["log"]
