"""The disk cache: a second process compiles nothing of the package's own, and never gets a stale answer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fisherfit
from fisherfit import _jit

FIT = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, pandas as pd, fisherfit as ff
from fisherfit import kernels, _jit
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 2)); mu = np.exp(0.5 + X @ [0.2, -0.1])
y = rng.poisson(mu).astype(float)
frame = pd.DataFrame(X, columns=["a", "b"]).assign(g=rng.choice(list("uvw"), 60), h=rng.choice(list("st"), 60))
for family, response in (("poisson", y), ("normal", y), ("gamma", y + 1), ("negative_binomial", y)):
    print(repr(ff.GLM(family).fit(X, response).coef_.tolist()))
print(repr(ff.GLM("poisson").fit(frame, y).coef_.tolist()))
seen = [k for k in _jit._kernels.values()] + [k.rows for k in kernels._cache.values()] + [k.base for k in kernels._cache.values()]
print("MISSES", sum(sum(k.stats.cache_misses.values()) for k in seen))
"""


def run(code, cache, path=None):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=cache.parent)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.strip().splitlines()
    return lines, int(last.split()[1])


def test_a_second_process_compiles_nothing_and_adds_no_file(tmp_path):
    first, misses = run(FIT, tmp_path)
    assert misses > 0
    files = sorted(p.name for p in tmp_path.rglob("*.nb?"))
    assert files
    second, misses = run(FIT, tmp_path)
    assert misses == 0
    assert sorted(p.name for p in tmp_path.rglob("*.nb?")) == files
    assert first == second


def test_an_edited_formula_is_not_answered_from_the_cache(tmp_path):
    """Edit a helper in another file than the kernel's: the stamp of all sources is part of every kernel's key."""
    copy = tmp_path / "copy" / "fisherfit"
    shutil.copytree(Path(fisherfit.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import numpy as np, fisherfit as ff
from fisherfit.kernels import kernels_of
k = kernels_of(ff.Poisson(), [ff.links.get_link("log")])
u, w = np.empty((1, 1)), np.empty((1, 1))
print(repr(float(k.rows(np.array([3.0]), np.ones(1), np.zeros((1, 1)), np.empty(0), 0, u, w))))
print("MISSES", 0)
"""
    cache = tmp_path / "cache"
    before, _ = run(code, cache, copy.parent)
    again, _ = run(code, cache, copy.parent)
    assert before == again
    poisson = copy / "families" / "poisson.py"
    text = poisson.read_text()
    assert "def unit_deviance(y, mu):\n" in text
    poisson.write_text(
        text.replace("def unit_deviance(y, mu):\n", "def unit_deviance(y, mu):\n        return 7.0\n", 1)
    )
    after, _ = run(code, cache, copy.parent)
    assert after != before


MANY_KINDS = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, fisherfit as ff
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 2)); y = rng.poisson(2.0, 60)
locked = y.astype(float); locked.flags.writeable = False
for kind in (y, locked, y.astype(np.float32), np.repeat(y, 2)[::2].astype(float)):
    for weight in (None, np.broadcast_to(2.0, 60)):
        model = ff.GLM("poisson").fit(X, kind, sample_weight=weight, offset=locked)
        model.score(X, kind, sample_weight=weight, offset=locked)
print("MISSES", 0)
"""


def test_an_index_of_the_cache_has_one_entry(tmp_path):
    """Numba numbers the files of an index: two processes that add different entries may take the same number."""
    run(MANY_KINDS, tmp_path)
    indexes, codes = ({p.name.split(".py3")[0] for p in tmp_path.rglob(f"*.{kind}")} for kind in ("nbi", "nbc"))
    assert indexes == codes
    assert len(list(tmp_path.rglob("*.nbc"))) == len(indexes)
    assert all(_jit.source_stamp()[:12] in name for name in indexes)
