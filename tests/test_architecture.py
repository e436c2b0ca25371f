"""Data flows one way: table -> design -> kernels -> sums -> solver -> result. Imports that run backwards fail."""

import ast
import subprocess
import sys
from pathlib import Path

import fisherfit

ROOT = Path(fisherfit.__file__).parent
# a module may import from its own layer and from those before it
LAYERS = [
    {"errors", "labelled", "_later"},
    {"choices"},
    {"convergence"},
    {"elementary", "_threads", "datasets", "covtypes", "randomness"},
    {"special", "gammas", "bessel", "_bits"},
    {"_jit", "sparse", "links", "families", "table"},
    {
        "kernels",
        "blocks",
        "expressions",
        "formula",
        "terms",
        "family_checks",
        "response",
        "arguments",
        "files",
        "batches",
        "groups",
        "clusters",
    },
    {
        "linalg",
        "factoring",
        "native",
        "rowwise",
        "anscombe",
        "tails",
        "parts",
        "entries",
        "passes",
        "likelihood",
        "separation",
        "coordinates",
    },
    {"information", "conjugate", "exact_alpha", "rowblocks", "adjusted_alpha"},
    {"leverage"},
    {"clustering", "serial", "adjustments"},
    {"nullspace"},
    {"solver", "bounds", "dispersion", "bracket", "progress"},
    {"model"},
    {"starts", "cutting"},
    {"infinite", "small", "scoring", "chunks"},
    {"fitting", "prepare", "prediction", "grouped"},
    {"held"},
    {"scan"},
    {"batch_labels"},
    {"streamed"},
    {"sandwich"},
    {"overdispersion", "inference"},
    {"adjusted_score"},
    {"adjusted_steps"},
    {"bias"},
    {"columnwise"},
    {"summary", "result"},
    {"maximum"},
    {"restricted", "penalised", "within"},
    {"model_terms", "hypotheses"},
    {"refit", "restrictions"},
    {"keeping"},
    {"constrained"},
    {"testing", "hauck_donner", "pairs"},
    {"anova_table"},
    {"lockstep", "ridge"},
    {"seeking", "unbounded"},
    {"edges", "creeping"},
    {"profiles", "deltas"},
    {"tangents", "densities", "mixing"},
    {"uncertain", "altered"},
    {"nodes"},
    {"predictive", "margins"},
    {"leave_one_out"},
    {"influence"},
    {"diagnostics"},
    {"outcome"},
    {"calibrated"},
    {"checks"},
    {"optimize"},
    {"geometry"},
    {"mixtures"},
    {"plots"},
    {"estimators"},
    {"warming", "adapters"},
    {"cli", "__init__"},
]
HEAVY = ("sklearn", "pandas", "scipy.stats", "matplotlib", "formulaic", "dask", "statsmodels", "polars", "rich")


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, path.relative_to(ROOT).parts[0].removesuffix(".py")


def layer(name):
    found = [i for i, names in enumerate(LAYERS) if name in names]
    assert found, f"{name} has no layer: put it where it belongs"
    return found[0]


def imports(path):
    """Package modules that a file imports at its top, by the first part of their name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    depth = len(path.relative_to(ROOT).parts)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level < depth:
                continue  # within its own folder
            names = [node.module] if node.module else [a.name for a in node.names]
            for name in names:
                yield name.split(".")[0]


def test_arrows_do_not_run_backwards():
    for path, name in modules():
        for other in imports(path):
            assert layer(other) <= layer(name), f"{path.name} imports {other}, which comes after it"


def test_the_solver_knows_no_families_and_no_tables():
    names = set(imports(ROOT / "solver.py"))
    assert names <= {"likelihood", "linalg", "conjugate"}


def test_modules_stay_small():
    for path, _ in modules():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 480, f"{path.name} has {lines} lines: does it hold one idea?"


def test_import_is_light():
    code = f"import sys, fisherfit; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
