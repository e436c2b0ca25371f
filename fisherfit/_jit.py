"""The compiler policy, in one place.

Facts about Numba that decided it:

- A kernel is a plain function made by a factory; its formulas are plain functions in closure cells. Numba puts the
  contents of the cells into the key of its disk cache: the package's own formulas by name, and with them a hash of
  the package's sources, so that an edited formula is never answered from a stale file.
- Every kernel gets a name, and so a cache index, of its own in every version of the package: two processes that compile
  different kernels at the same time never write the same file.
- The formulas of a user are not cached: their source may be in a notebook, or change without notice.
- ``nogil``, so that threads run; ``error_model="numpy"``, so that 1/0 is inf and not an exception; no ``fastmath``,
  whose reassociation breaks compensated sums, but for loops that are registered as sums in any order.
- Numba is imported with the package: every fit needs it, and the first fit should not wait for it. Formulas and
  links (`special`, `links`, `families`) know nothing of it.
- The cache is Numba's own: ``NUMBA_CACHE_DIR``, else ``__pycache__`` beside the sources, else a folder of the user's.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import event
from numba.extending import register_jitable

from .elementary import SCALARS
from .errors import CompilationWarning

UNCACHED = (
    "no folder for compiled code can be written, so that every process compiles anew; "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)

#: a formula is called from compiled code only: it needs no entries for Python and for C
_INNER = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}
_lock = threading.RLock()
_registered: set[Callable[..., Any]] = set()
_kernels: dict[Any, Callable[..., Any]] = {}


@cache
def source_stamp() -> str:
    """A hash of the package's Python sources."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_own(function: Callable[..., Any]) -> bool:
    """True for a function of the package itself."""
    return (getattr(function, "__module__", None) or "").split(".")[0] == __package__


def register(function: Callable[..., Any], inline: bool = False) -> Callable[..., Any]:
    """Let compiled code call a plain function, and the plain functions in its closure.

    A loop becomes vector code only if all that it calls is inlined, which the compiler does not do by itself for long
    formulas: the package's own are inlined by force. Those of a user, and what is built around them, are not: several
    derivatives by differences of one log-density would multiply its code.
    """
    from . import _bits  # noqa: F401  (tells Numba of the twins)

    with _lock:
        for scalar in SCALARS:
            if scalar not in _registered:
                _registered.add(scalar)
                register_jitable(forceinline=True, **_INNER)(scalar)
        if function not in _registered:
            _registered.add(function)
            for called in _called(function):
                register(called, inline)
            register_jitable(forceinline=inline, **_INNER)(function)
    return function


def register_vectors(functions: Iterable[Callable[..., Any]]) -> None:
    """Let compiled code call loops that sum; they may take the terms in any order, and so several at a time."""
    with _lock:
        for function in functions:
            if function not in _registered:
                _registered.add(function)
                register_jitable(fastmath={"reassoc", "nsz", "contract"})(function)


def _called(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Plain functions in the closure of a function and, for a user's function, among the globals that it names."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names = () if is_own(function) else function.__code__.co_names
    used = [function.__globals__[name] for name in names if name in function.__globals__]
    return [f for f in (*cells, *used) if inspect.isfunction(f)]


def compiled(function: Callable[..., Any], cached: bool | None = None) -> Callable[..., Any]:
    """The compiled version of a function, made once; kept on disk if it is the package's own."""
    with _lock:
        kernel = _kernels.get(function)
        if kernel is None:
            kernel = _kernels[function] = compile_kernel(function, is_own(function) if cached is None else cached)
        return kernel


def compile_kernel(function: Callable[..., Any], cached: bool, signature: Any = None) -> Callable[..., Any]:
    """Compile a kernel; its closure must hold `source_stamp()` if it is to be cached and calls formulas.

    With a `signature` it is compiled for that one at once (first-class functions among its arguments need it).
    """
    register(function, inline=cached)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if cached:
        _name_apart(function)
        try:
            return njit(signature, cache=True, **options)(function)
        except RuntimeError:  # no folder can be written to: compile in every process, and say so once
            _say_uncached()
    return njit(signature, **options)(function)


def _name_apart(function: Callable[..., Any]) -> None:
    """Give a cached function an index file of its own for every version of the package.

    Numba numbers the files of compiled code by the entries of an index. Two processes that add different entries to one
    index at the same time can take the same number, and one of them is then answered with the code of the other.
    With one entry an index, the signature being always the same, both write the same.
    """
    mark = f"_{source_stamp()[:12]}"
    if not function.__qualname__.endswith(mark):
        function.__qualname__ += mark


def forgiving(function: Callable[..., Any]) -> Callable[..., Any]:
    """A user's kernel: compiled if it can be, else run as plain Python, with one warning that says why."""
    kernel = compile_kernel(function, False)
    plain = False

    def give_up(error: Exception) -> None:
        nonlocal plain
        plain = True
        why = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "unknown")
        warnings.warn(
            "a formula of the family cannot be compiled and runs as plain Python, some hundred times slower; "
            f"use only arithmetic and the math module to have it compiled ({why[:200]})",
            CompilationWarning,
            stacklevel=3,
        )

    def dispatcher(arguments: tuple[Any, ...]) -> Any:
        """What Numba made of the function, compiled for these types; None where it cannot be."""
        if not plain:
            try:
                kernel.compile(arguments)  # type: ignore[attr-defined]
            except Exception as error:  # Numba has many kinds, not all with a common base
                give_up(error)
        return None if plain else kernel

    def call(*arguments: Any) -> Any:
        if not plain:
            try:
                return kernel(*arguments)
            except Exception as error:
                give_up(error)
        try:
            return function(*arguments)
        except ArithmeticError:  # where compiled code has NaN, which the solver reads as "step too long"
            return math.nan
        except ValueError as error:
            if "math domain" in str(error) or "positive input" in str(error):
                return math.nan
            raise

    call.dispatcher = dispatcher  # type: ignore[attr-defined]
    return call


def address_of(kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> int:
    """The address of the machine code of a kernel for these types; 0 for one that runs as plain Python."""
    found: Any = kernel.dispatcher(arguments) if hasattr(kernel, "dispatcher") else kernel
    if found is None:
        return 0
    found.compile(arguments)
    result = found.overloads[arguments]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def cache_folder() -> str | None:
    """The folder where compiled code of this package's own modules is kept, or None where none can be written."""
    try:
        return str(njit(cache=True)(_nothing).stats.cache_path)
    except RuntimeError:
        return None


def _nothing():
    return None


@contextmanager
def compilations() -> Iterator[list[str]]:
    """Collects, until it is left, the names of the cached kernels that were compiled instead of found on disk."""
    names: list[str] = []
    with event.install_recorder("numba:compile") as recorder:
        try:
            yield names
        finally:
            kernels = [what.data["dispatcher"] for _, what in recorder.buffer if what.is_end]
            names += [kernel.py_func.__name__ for kernel in kernels if kernel.stats.cache_path is not None]


@cache
def _say_uncached() -> None:
    warnings.warn(UNCACHED, CompilationWarning, stacklevel=2)
