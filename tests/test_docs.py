"""The documentation tells the truth: examples run, outputs are the real ones, every public name is there.

``python tests/test_docs.py`` puts the real outputs into the pages.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import fisherfit as ff
from fisherfit import arguments

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.rst"))
TEXT = {path.name: path.read_text(encoding="utf-8") for path in [*PAGES, ROOT / "README.md"]}
FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
MODULES = sorted(m.name for m in pkgutil.walk_packages(ff.__path__, "fisherfit."))
PUBLIC = {name: getattr(ff, name) for name in ff.__all__}
OBJECTS = {n: o for n, o in PUBLIC.items() if not isinstance(o, types.ModuleType)}


# examples


@pytest.mark.parametrize("name", ["fisherfit", *MODULES])
def test_examples_of_the_module(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert outcome.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_examples_of_the_page(path):
    outcome = doctest.testfile(str(path), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert outcome.failed == 0


def test_python_of_the_readme(capsys):
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT["README.md"], re.DOTALL))
    exec(compile(code, "README.md", "exec"), {})
    assert "Generalised linear model" in capsys.readouterr().out


def test_the_family_of_the_example(capsys):
    model = runpy.run_path(str(ROOT / "docs" / "examples" / "rayleigh.py"))["main"]()
    assert model.converged_
    assert model.certificate_.max_se_error < 1e-9
    np.testing.assert_allclose([model.intercept_, *model.coef_], [0.5, 0.3], atol=4 * 0.5 / np.sqrt(2000))
    assert "rayleigh" in capsys.readouterr().out


# outputs of commands

SHELL = 'fisherfit() {{ {python} -m fisherfit.cli "$@"; }}; python() {{ {python} "$@"; }}; {command}'


def output(command: str) -> str:
    """What a shell command writes to the standard output, in the folder of the repository."""
    full = SHELL.format(python=shlex.quote(sys.executable), command=command)
    done = subprocess.run(["bash", "-c", full], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8")


def sessions(text: str) -> list[tuple[str, str]]:
    """The commands of the console blocks of a page, each with the output that stands below it."""
    found = []
    for block in re.findall(r"\.\. code-block:: console\n\n((?:   .*\n|\n)+)", text):
        lines = textwrap.dedent(block).rstrip("\n") + "\n"
        for part in re.findall(r"^\$ (.*(?:\n> .*)*\n)((?:(?!\$ ).*\n)*)", lines, re.MULTILINE):
            found.append((part[0].replace("\n> ", "\n"), part[1]))
    return found


def readme_output() -> tuple[str, str]:
    """The main command of the README, as run in this environment, and the output that stands below it."""
    text = TEXT["README.md"]
    command = re.search(r"<!-- ci: main -->\n```bash\n(.*?)\n```", text)[1]
    shown = re.search(r"It prints\n\n```text\n(.*?)```", text, re.DOTALL)[1]
    return command.split(" && ")[-1].replace(".venv/bin/", ""), shown


def stable(text: str) -> str:
    """Without the certificate, whose last digits are rounding."""
    return re.sub(r" +within .*", "", text)


@pytest.mark.parametrize("page", [name for name, text in TEXT.items() if sessions(text)])
def test_outputs_of_the_page(page):
    for command, shown in sessions(TEXT[page]):
        assert stable(output(command)) == stable(shown), command


def test_output_of_the_readme():
    command, shown = readme_output()
    assert stable(output(command)) == stable(shown)


# completeness


def documented() -> set[str]:
    """The names that the reference page documents, by its directives."""
    page = TEXT["reference.rst"]
    names = set(re.findall(r"\.\. auto(?:class|function):: fisherfit\.(?:\w+\.)*(\w+)", page))
    for module in re.findall(r"\.\. automodule:: (fisherfit\.\w+)\n   :members:", page):
        names |= set(importlib.import_module(module).__all__) | {module.split(".")[1]}
    if ".. families::" in page:
        names |= {cls.__name__ for cls in ff.families.FAMILIES.values()} | {"families"}
    return names


def test_every_public_name_is_in_the_reference():
    assert set(ff.__all__) <= documented()


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_name_has_a_docstring_with_an_example(name):
    found = OBJECTS[name]
    text = found.__doc__
    assert text
    if not (isinstance(found, type) and issubclass(found, Exception)):
        assert ">>> " in text


def test_every_error_and_warning_has_its_entry():
    for name in ff.errors.__all__:
        base = name in ("FisherfitError", "FisherfitWarning")
        assert (f"``{name}``" if base else f"\n``{name}``\n    ") in TEXT["errors-and-warnings.rst"], name


def test_every_option_and_exit_code_is_on_the_page():
    page = TEXT["command-line.rst"]
    parser = arguments.parser(dict.fromkeys(("fit", "datasets", "families", "warmup")))
    (commands,) = (a for a in parser._actions if hasattr(a, "choices") and a.choices)
    for command, sub in commands.choices.items():
        assert f"fisherfit {command}" in page
        for action in sub._actions:
            assert not action.option_strings or f"``{action.option_strings[-1]}" in page or action.dest == "help"
    codes = re.findall(r"^  (\d+) ", arguments.EPILOG, re.MULTILINE)
    assert codes == re.findall(r"^(\d+) +\S", page, re.MULTILINE) == ["0", "1", "2", "3", "130", "141"]


def test_pages_are_all_in_the_index():
    listed = set(re.findall(r"^   ([\w-]+)$", TEXT["index.rst"], re.MULTILINE))
    assert listed == {path.stem for path in PAGES} - {"index"}


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT["README.md"]):
        assert (ROOT / target).exists(), target


def rewrite() -> None:
    """Put the real outputs into the pages."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for command, shown in sessions(text):
            typed = "   $ " + command.rstrip("\n").replace("\n", "\n   > ") + "\n"
            old = typed + "".join(f"   {line}\n" if line else "\n" for line in shown.splitlines())
            lines = output(command).splitlines()
            assert old in text, command
            text = text.replace(old, typed + "".join(f"   {line}\n" if line else "\n" for line in lines))
        path.write_text(text, encoding="utf-8")
    command, shown = readme_output()
    text = TEXT["README.md"].replace(f"```text\n{shown}```", f"```text\n{output(command)}```")
    (ROOT / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("error")
    rewrite()
