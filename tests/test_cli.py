"""The command line: results, files, messages and exit codes."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff
from fisherfit import arguments, cli, files

MAIN = [sys.executable, "-m", "fisherfit.cli"]
INSURANCE = ["fit", "@insurance", "claims ~ C(district) + group + age", "--family", "poisson"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def small(tmp_path):
    """A small CSV file."""
    path = tmp_path / "small.csv"
    path.write_text("y,x,w,g\n1,2,1,a\n3,4,2,b\n2,5,1,a\n7,6,1,b\n4,1,3,a\n")
    return path


def assert_error(result, pattern):
    """Exit code 2, nothing on stdout, one line on stderr."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"fisherfit: error: .*{pattern}.*\n", err), err


def strict(text):
    """JSON without the constants that are not JSON."""

    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


# results


def test_summary_is_that_of_the_result(run):
    code, out, err = run(*INSURANCE, "--exposure", "holders")
    model = ff.GLM(formula=INSURANCE[2], family="poisson")
    model.fit(ff.datasets.load("insurance"), exposure="holders")
    assert (code, err) == (0, "")
    assert out == f"{model.summary()}\n"


def test_json_is_the_dictionary_of_the_result(run):
    code, out, err = run(*INSURANCE, "--exposure", "holders", "--json")
    model = ff.GLM(formula=INSURANCE[2], family="poisson")
    model.fit(ff.datasets.load("insurance"), exposure="holders")
    assert (code, err) == (0, "")
    assert strict(out) == {"level": 0.95, **model.result_.to_dict()}


def test_level_reaches_text_and_json(run):
    _, out, _ = run(*INSURANCE, "--level", "0.8")
    assert re.search(r"\[0\.1 +0\.9\]", out)
    _, out, _ = run(*INSURANCE, "--level", "0.8", "--json")
    record = strict(out)
    model = ff.GLM(formula=INSURANCE[2], family="poisson").fit(ff.datasets.load("insurance"))
    expected = model.result_.conf_int(0.8).loc["Intercept"]
    row = record["coefficients"]["Intercept"]
    assert (record["level"], row["lower"], row["upper"]) == (0.8, expected["lower"], expected["upper"])


@pytest.mark.parametrize(
    ("options", "family", "settings"),
    [
        (["--family", "gamma", "--link", "identity"], "gamma", {"link": "identity"}),
        (["--family", "gamma", "--dispersion", "ml"], "gamma", {"dispersion": "ml"}),
        (["--family", "gamma", "--dispersion", "0.5"], "gamma", {"dispersion": 0.5}),
        (["--family", "tweedie", "--power", "1.3"], ff.Tweedie(power=1.3), {}),
        (["--family", "negative_binomial", "--alpha", "0.5"], ff.NegativeBinomial(alpha=0.5), {}),
        (["--cov-type", "HC1"], "normal", {"cov_type": "HC1"}),
        (["--cov-type", "HAC(1)"], "normal", {"cov_type": "HAC(1)"}),
        (["--weights", "w", "--weight-type", "frequency"], "normal", {"weight_type": "frequency"}),
        (["--offset", "w"], "normal", {}),
        (["--max-iter", "7", "--jobs", "1"], "normal", {"max_iter": 7, "n_jobs": 1}),
    ],
)
def test_options_reach_the_estimator(run, small, options, family, settings):
    code, out, err = run("fit", small, "y ~ x", *options, "--json")
    named = dict(zip(options[::2], options[1::2], strict=True))
    data = {"sample_weight": named.get("--weights"), "offset": named.get("--offset")}
    model = ff.GLM(family, formula="y ~ x", **settings).fit(pd.read_csv(small), **data)
    assert (code, err) == (0, "")
    assert strict(out)["coefficients"] == model.result_.to_dict()["coefficients"]


def test_groups_for_clusters(run):
    fit = ("fit", "@quine", "days ~ eth + lrn", "--family", "poisson", "--cov-type")
    code, out, _ = run(*fit, "cluster", "--groups", "age", "--json")
    assert code == 0
    data = ff.datasets.load("quine")
    model = ff.GLM("poisson", formula="days ~ eth + lrn", cov_type="cluster").fit(data, groups="age")
    assert strict(out)["coefficients"] == model.result_.to_dict()["coefficients"]
    code, out, _ = run(*fit, "cluster", "--groups", "age", "--groups", "sex", "--json")
    assert code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.CovarianceWarning)  # few groups
        model.fit(data, groups=["age", "sex"])
    assert strict(out)["coefficients"] == model.result_.to_dict()["coefficients"]
    for kind, message in (("cluster", "needs groups="), ("cluster(CR9)", "'CR9' is not known"), ("HC7", "'HC7'")):
        code, out, err = run(*fit, kind)
        assert (code, out) == (2, "")
        assert message in err


def test_successes_and_failures(run):
    code, out, _ = run("fit", "@beetles", "dead + alive ~ log_dose", "--family", "binomial", "--json")
    assert code == 0
    assert strict(out)["coefficients"]["log_dose"]["coef"] == pytest.approx(34.27032, abs=1e-5)  # R, glm


def test_json_and_html_files_stand_beside_the_summary(run, tmp_path):
    code, out, err = run(*INSURANCE, "--json", "r.json", "--html", "r.html")
    assert (code, err) == (0, "")
    assert "Generalised linear model" in out
    assert strict((tmp_path / "r.json").read_text())["family"] == "poisson"
    assert "Generalised linear model" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_quiet_prints_what_was_asked_for(run, tmp_path):
    assert run(*INSURANCE, "--quiet") == (0, "", "")
    code, out, err = run(*INSURANCE, "--quiet", "--json")
    assert (code, err) == (0, "")
    assert strict(out)["converged"] is True
    assert run(*INSURANCE, "--quiet", "--html", "r.html") == (0, "", "")
    assert (tmp_path / "r.html").exists()


class Page(HTMLParser):
    """Tags that are open, and everything a browser would fetch."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_page_is_complete_and_needs_nothing_else(run, tmp_path):
    path = tmp_path / "höhe.csv"
    pd.DataFrame({"y": [1.0, 3.0, 2.0, 5.0], "größe": ["a", "z<b>", "a", "z<b>"]}).to_csv(path, index=False)
    code, _, err = run("fit", path, "y ~ größe", "--html", "page.html")
    text = (tmp_path / "page.html").read_bytes().decode("utf-8")
    assert (code, err) == (0, "")
    page = Page(text)
    assert (page.open, page.fetched) == ([], [])
    assert {"html", "head", "body", "main", "title", "table"} <= set(page.tags)
    assert '<meta charset="utf-8">' in text
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text
    assert "größe[T.z&lt;b&gt;]" in text
    assert "höhe.csv" in text
    assert "<b>" not in text
    assert "url(" not in text


def test_html_to_stdout(run):
    code, out, _ = run(*INSURANCE, "--html", "-")
    assert (code, out[:15]) == (0, "<!doctype html>")


def test_data_sets_are_listed_and_described(run):
    code, out, err = run("datasets")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:-2]] == [f"@{n}" for n in ff.datasets.names()]
    assert all(len(line) <= 130 for line in out.splitlines())
    assert run("datasets", "quine") == run("datasets", "@quine") == (0, f"{ff.datasets.describe('quine')}\n", "")


def test_families_and_their_links_are_right(run):
    code, out, err = run("families")
    assert (code, err) == (0, "")
    rows = [re.split(r"  +", line) for line in out.splitlines()[1:-2]]
    assert [row[0] for row in rows] == list(ff.families.FAMILIES)
    data = ff.datasets.load("trees")[["girth", "volume"]].iloc[::3].assign(volume=lambda t: t["volume"].round())
    data["volume"] **= 2
    unit = data.assign(volume=[0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1])
    share = data.assign(volume=0.2 + 0.5 * unit["volume"] + 0.001 * data["girth"])
    angle = data.assign(volume=0.1 * data["girth"] + 0.2 * unit["volume"])
    tables = {"binomial": unit, "bernoulli": unit, "beta": share, "von_mises": angle}
    for name, _, dispersion, links in rows:
        table = tables.get(name, data)
        model = ff.GLM(name, formula="volume ~ girth").fit(table)
        assert model.result_.links[0] == links.split(", ")[0]
        assert (model.result_.dispersion_method == "pearson") == (dispersion == "estimated")


def test_version_and_help(run):
    assert run("--version") == (0, f"fisherfit {ff.__version__}\n", "")
    for arguments_ in (["--help"], ["fit", "--help"], ["datasets", "--help"], ["families", "--help"]):
        code, out, err = run(*arguments_)
        assert (code, err) == (0, "")
        assert all(f"\n  {n} " in out for n in (0, 1, 2, 3, 130, 141))


def test_choices_are_those_of_the_package():
    from fisherfit.response import WEIGHT_TYPES

    assert arguments.WEIGHT_TYPES == WEIGHT_TYPES


# files


def test_every_format_gives_the_same_table(tmp_path):
    table = pd.DataFrame({"y": [1.5, 2.5], "g": ["a", "b"], "n": [3, 4]})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "t.csv.gz", index=False)
    table.to_csv(tmp_path / "T.TSV", index=False, sep="\t")
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfy, g, n\n1.5, a, 3\n2.5, b, 4\n")
    pytest.importorskip("pyarrow")
    table.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.csv.gz", "T.TSV", "bom.csv", "t.parquet"):
        pd.testing.assert_frame_equal(files.read_data(str(tmp_path / name)), table)


def test_numbers_are_read_exactly(tmp_path):
    rng = np.random.default_rng(3)
    values = rng.normal(size=5000) * 10.0 ** rng.integers(-20, 20, 5000)
    (tmp_path / "t.csv").write_text("y\n" + "\n".join(map(repr, values.tolist())) + "\n")
    np.testing.assert_array_equal(files.read_data(str(tmp_path / "t.csv"))["y"], values)


def test_stdin(small):
    done = subprocess.run(
        [*MAIN, "fit", "-", "y ~ x", "--json"], input=small.read_bytes(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    model = ff.GLM(formula="y ~ x").fit(pd.read_csv(small))
    assert strict(done.stdout)["coefficients"] == model.result_.to_dict()["coefficients"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, r"none\.csv: no such file"),
        ("quine", None, r"quine: no such file; the data set of the package is called @quine"),
        ("@quin", None, r"no data set 'quin'\. Did you mean 'quine'\?"),
        ("empty.csv", b"", r"empty\.csv: is empty"),
        ("blank.csv", b"\n\n", r"blank\.csv: is empty"),
        ("head.csv", b"y,x\n", r"head\.csv: has a header and no rows"),
        ("semi.csv", b"y;x\n1;2\n", r"one column only; its header is separated by ';'"),
        ("tabs.csv", b"y\tx\n1\t2\n", r"one column only"),
        ("latin.csv", b"y,x\n1,\xe9\n", r"latin\.csv: is not UTF-8 text; convert it, e\.g\. iconv"),
        ("utf16.csv", "y,x\n1,2\n".encode("utf-16"), r"utf16\.csv: is not UTF-8 text"),
        ("wide.csv", b"y,x\n1,2,3\n4,5,6\n", r"more values in a row than names in the header"),
        (
            "ragged.csv",
            b"y,x\n1,2\n3,4,5\n",
            r"cannot be read as a table: Expected 2 fields in line 3, saw 3",
        ),
        ("quote.csv", b'y,x\n"1,2\n', r"cannot be read as a table: EOF inside string"),
        ("data.dat", b"y,x\n1,2\n", r"ends in \.csv, \.csv\.gz, \.tsv, \.tsv\.gz or \.parquet"),
        ("data", b"y,x\n1,2\n", r"ends in \.csv"),
        ("not.csv.gz", b"y,x\n1,2\n", r"not\.csv\.gz: cannot be read: Not a gzipped file"),
        (
            "cut.csv.gz",
            gzip.compress(b"y,x\n" + b"1,2\n" * 99, mtime=0)[:-12],
            r"cut\.csv\.gz: cannot be unpacked",
        ),
        ("not.parquet", b"y,x\n1,2\n", r"not\.parquet: cannot be read as Parquet"),
        (".", None, r"is a folder, not a file"),
        ("a" * 300 + ".csv", None, r"File name too long"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_files_that_cannot_be_used(run, tmp_path, name, content, message):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_error(run("fit", name, "y ~ x"), message)


def test_file_without_permission(run, small):
    small.chmod(0)
    if os.access(small, os.R_OK):
        pytest.skip("this user may read everything")
    assert_error(run("fit", small, "y ~ x"), "Permission denied")


def test_parquet_without_pyarrow(run, tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    message = r"need pyarrow; install it with: pip install 'fisherfit\[parquet\]'"
    assert_error(run("fit", "t.parquet", "y ~ x"), message)


# messages


@pytest.mark.parametrize(
    ("arguments_", "message"),
    [
        ([], r"give a command: fit, datasets, families, warmup"),
        (["fti"], r"invalid choice: 'fti'"),
        (["fit", "small.csv"], r"required: FORMULA"),
        (["fit", "small.csv", "y", "~", "x"], r"unrecognized arguments: ~ x; the formula is one argument"),
        (["fit", "small.csv", "y ~ x", "--famly", "poisson"], r"unrecognized arguments: --famly poisson"),
        (["fit", "--json", "small.csv", "y ~ x"], r"--json: 'small\.csv' is not the name of an output file"),
        (["fit", "small.csv", "y ~ z"], r"no column 'z'; its columns are y, x, w, g"),
        (["fit", "small.csv", "z ~ x"], r"no column 'z'"),
        (["fit", "small.csv", "y x"], r"exactly one '~'"),
        (["fit", "small.csv", "y ~ x +"], r"cannot be read"),
        (["fit", "small.csv", "y ~ open('f')"], r"'open' .* not a function that a formula knows"),
        (["fit", "small.csv", "y ~ x.__class__"], r"__class__"),
        (["fit", "small.csv", "g ~ x", "--family", "binomial"], r"'g' holds text or categories \(a, b\)"),
        (
            ["fit", "small.csv", "y ~ x", "--family", "poison"],
            r"'poison' is not a family; choose one of normal",
        ),
        (["fit", "none.csv", "y ~ x", "--family", "poison"], r"'poison' is not a family"),
        (["fit", "none.csv", "y ~ x", "--link", "lgo"], r"'lgo' is not a link; choose one of identity"),
        (
            ["fit", "none.csv", "y ~ x", "--family", "poisson", "--link", "logit"],
            r"'logit' is not defined for",
        ),
        (["fit", "small.csv", "y ~ x", "--family", "binomial"], r"y has the value 3 at row 1.* as --weights"),
        (["fit", "small.csv", "y ~ x", "--exposure", "w"], r"exposure needs the log link.* pass --offset on"),
        (["fit", "small.csv", "y ~ x", "--family", "poisson", "--exposure", "z"], r"'z'.* columns are"),
        (["fit", "small.csv", "y ~ x", "--offset", "z"], r"'z'.* columns are"),
        (["fit", "small.csv", "y ~ x", "--weights", "z"], r"'z'.* columns are"),
        (["fit", "small.csv", "y ~ x", "--weights", "g"], r"--weights"),
        (["fit", "small.csv", "y ~ x", "--weight-type", "f"], r"--weight-type: invalid choice: 'f'"),
        (["fit", "small.csv", "y ~ x", "--power", "1.5"], r"--power is for --family tweedie, not for normal"),
        (["fit", "small.csv", "y ~ x", "--family", "tweedie", "--power", "3"], r"strictly between 1 and 2"),
        (["fit", "small.csv", "y ~ x", "--alpha", "1"], r"--alpha is for --family negative_binomial"),
        (["fit", "small.csv", "y ~ x", "--family", "nb", "--alpha", "-1"], r"at least 0, got -1"),
        (["fit", "small.csv", "y ~ x", "--alpha", "x"], r"--alpha: expected a number, got 'x'"),
        (
            ["fit", "small.csv", "y ~ x", "--dispersion", "0"],
            r"--dispersion: expected pearson, deviance, ml or a",
        ),
        (["fit", "small.csv", "y ~ x", "--level", "95"], r"--level: expected a number between 0 and 1"),
        (["fit", "small.csv", "y ~ x", "--max-iter", "-1"], r"--max-iter"),
        (["fit", "small.csv", "y ~ x", "--jobs", "0"], r"--jobs: expected a whole number of at least 1"),
        (["fit", "small.csv", "y ~ x", "--json", "--html", "-"], r"cannot both go to the standard output"),
        (["fit", "small.csv", "y ~ x", "--json", "no/r.json"], r"--json no/r\.json: there is no folder 'no'"),
        (["fit", "small.csv", "y ~ x", "--html", "."], r"--html \.: is a folder"),
        (["datasets", "quin"], r"no data set 'quin'"),
    ],
)
def test_bad_usage_and_bad_input(run, small, arguments_, message):
    assert_error(run(*arguments_), message)


def test_the_data_are_never_overwritten(run, small):
    other = small.with_name("link.json")
    other.symlink_to(small)
    before = small.read_bytes()
    assert_error(run("fit", small, "y ~ x", "--json", other), "would overwrite the data")
    assert small.read_bytes() == before


def test_missing_values(run, tmp_path):
    (tmp_path / "t.csv").write_text("y,x\n1,2\n3,\n2,5\n4,4\n")
    assert_error(run("fit", "t.csv", "y ~ x"), r"'x' has a missing value at row 1 .* use --missing drop")
    code, out, err = run("fit", "t.csv", "y ~ x", "--missing", "drop")
    assert code == 0
    assert err == ("fisherfit: warning: 1 of 4 rows have missing values and were left out (MissingValuesWarning)\n")
    assert re.search(r"Observations +3 ", out)


def test_a_number_column_with_a_word_in_it_is_pointed_out(run, tmp_path):
    (tmp_path / "t.csv").write_text('y,x,z,g\n1,2,"1,5",a\n3,oops,"2,5",b\n2,5,"3,5",a\n7,6,"1,5",b\n4,1,"2,5",a\n')
    code, _, err = run("fit", "t.csv", "y ~ g")
    assert (code, err) == (0, "")
    _, out, err = run("fit", "t.csv", "y ~ x")
    assert err.splitlines()[0] == ("fisherfit: warning: column 'x' is a category, since 'oops' (row 1) is not a number")
    assert "x[T.oops]" in out
    _, _, err = run("fit", "t.csv", "y ~ z")
    assert err == "fisherfit: warning: column 'z' is a category, since '1,5' (row 0) is not a number\n"


def test_separated_data_give_results_and_code_3(run):
    code, out, err = run("fit", "@endometrial", "HG ~ NV + PI + EH", "--family", "binomial")
    assert code == 3
    assert re.fullmatch(r"fisherfit: warning: 13 of 79 rows are separated .* \(SeparationWarning\)\n", err)
    assert re.search(r"NV +[\d.]+ +inf +-inf +inf", out)
    assert "(SEPARATED)" in out
    code, out, _ = run("fit", "@endometrial", "HG ~ NV + PI + EH", "--family", "binomial", "--json")
    record = strict(out)
    assert (code, record["converged"]) == (3, False)
    assert record["coefficients"]["NV"]["se"] == "inf"


def test_no_convergence_gives_results_and_code_3(run):
    code, out, err = run("fit", "@quine", "days ~ eth", "--family", "poisson", "--max-iter", "1")
    assert (code, "(NOT CONVERGED)" in out) == (3, True)
    assert re.fullmatch(r"fisherfit: warning: not converged .* --max-iter 1 .*\(ConvergenceWarning\)\n", err)


def test_warnings_of_a_fit_that_converged_leave_code_0(run, small):
    code, out, err = run("fit", small, "y ~ x + I(2 * x)")
    assert code == 0
    assert re.fullmatch(r"fisherfit: warning: 1 of 3 columns .*I\(2 \* x\) \(RankWarning\)\n", err)
    assert "nan" in out


def test_internal_errors(run, small, monkeypatch):
    def broken(name):
        raise KeyError("two\nlines")

    monkeypatch.setattr(cli, "read_data", broken)
    code, out, err = run("fit", small, "y ~ x")
    assert (code, out) == (1, "")
    assert err == "fisherfit: internal error: KeyError: 'two\\nlines' (--debug shows the traceback)\n"
    code, out, err = run("fit", small, "y ~ x", "--debug")
    assert (code, out) == (1, "")
    assert err.startswith("Traceback")
    assert err.endswith("fisherfit: internal error: KeyError: 'two\\nlines'\n")


def test_debug_shows_the_traceback_of_bad_input_too(run):
    code, _, err = run("fit", "none.csv", "y ~ x", "--debug")
    assert code == 2
    assert err.startswith("Traceback")
    assert err.endswith("fisherfit: error: none.csv: no such file\n")


def test_out_of_memory(run, small, monkeypatch):
    def full(name):
        raise MemoryError

    monkeypatch.setattr(cli, "read_data", full)
    expected = (1, "", "fisherfit: error: not enough memory for these data\n")
    assert run("fit", small, "y ~ x") == expected


def test_a_full_disk_is_an_error(run, small):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    code, _, err = run("fit", small, "y ~ x", "--json", "/dev/full")
    assert (code, err) == (2, "fisherfit: error: --json /dev/full: No space left on device\n")


# the process


def test_interrupt(run, small, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "read_data", interrupted)
    assert run("fit", small, "y ~ x") == (130, "", "fisherfit: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c():
    code = "import sys, fisherfit.cli as c; print(1, flush=True); sys.exit(c.main(['fit', '-', 'y ~ x']))"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline() == b"1\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"fisherfit: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("arguments_", ["datasets", "fit @trees 'volume ~ girth'"])
def test_closed_pipe_is_quiet(arguments_):
    command = f"set -o pipefail; '{sys.executable}' -m fisherfit.cli {arguments_} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_console_that_lacks_a_letter(tmp_path):
    pd.DataFrame({"y": [1.0, 3.0, 2.0], "größe": [1, 2, 4]}).to_csv(tmp_path / "t.csv", index=False)
    command = [*MAIN, "fit", str(tmp_path / "t.csv"), "y ~ größe"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"gr??e" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="terminals")
@pytest.mark.parametrize(("options", "seen"), [([], True), (["--no-progress"], False)])
def test_progress_bar_on_a_terminal(tmp_path, options, seen):
    rows = cli.MANY_ROWS
    rng = np.random.default_rng(0)
    pd.DataFrame({"y": rng.poisson(2.0, rows), "x": rng.integers(0, 9, rows)}).to_csv(tmp_path / "t.csv", index=False)
    command = [*MAIN, "fit", str(tmp_path / "t.csv"), "y ~ x", "--family", "poisson", "--json", *options]
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    with process:
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert strict(out)["nobs"] == rows
    assert (b"Fitting 100,000 rows" in shown) is seen
    if not seen:
        assert shown == b""


def test_no_progress_bar_without_a_terminal(run, monkeypatch):
    monkeypatch.setattr(cli, "MANY_ROWS", 1)
    assert run(*INSURANCE)[2] == ""


def test_spinner_stays_away_from_short_work(capsys):
    with cli._spinner("work", True):
        pass
    assert capsys.readouterr().err == ""


def test_spinner_shows_for_long_work(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    with cli._spinner("reading", True):
        time.sleep(1.5)
    assert "reading" in capsys.readouterr().err


def test_import_is_light():
    code = (
        "import sys, fisherfit; before = set(sys.modules); import fisherfit.cli; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = {name.split(".")[0] for name in done.stdout.split()}
    assert new <= {"fisherfit", "argparse", "gettext", "json", "_json"}
