"""`partial_fit` of mixtures: the first rows are held and fitted, then a batch moves the estimates and is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _threads
from ..covtypes import read_cov_type
from ..errors import InputError, InputTypeError
from ..mixtures.filtered import Filter, as_fit, begin
from ..mixtures.fitting import MixtureFit
from ..mixtures.mixture import Mixture
from ..table import read_table
from .mixture_batches import batches_of

HELD = 100  # rows for every parameter that are held and fitted exactly
LEAST = 2000  # and at least as many
PATIENCE = 5  # times as many where a parameter is on the edge of its range
FREE = ("max_iter", "n_init", "n_jobs", "random_state", "reg_covar", "tol", "verbose", "verbose_interval", "warm_start")

Rows = dict[str, Any]  # the arguments of a call by name


@dataclass(frozen=True, eq=False)
class Whole:
    """Rows in memory, fitted: what the filter begins from."""

    fit: MixtureFit
    mixture: Mixture
    attributes: dict[str, Any]
    template: Any


@dataclass(frozen=True, eq=False)
class Stream:
    """What `partial_fit` keeps: rows held, or the state that stands for all rows and what is known of the columns."""

    names: tuple[str, ...]
    is_frame: bool
    settings: tuple[Any, ...]
    held: tuple[Rows, ...] = ()
    state: Filter | None = None
    template: Any = None
    model: str = ""


def advance(
    estimator: Any,
    rows: Rows,
    forgetting: Any,
    whole: Callable[[Rows], Whole],
    part: Callable[[Any, Rows], tuple[Mixture, float]],
    moved: Callable[[Any, Filter, MixtureFit], dict[str, Any]],
    by_name: bool,
) -> tuple[MixtureFit | None, dict[str, Any]]:
    """The fit after a batch (None where there are too few rows yet), and the attributes to assign.

    Parameters
    ----------
    estimator : estimator
        Whose settings, and `_stream`, are looked at.
    rows : dict
        The arguments of the call.
    forgetting : float
        What the information of the past is multiplied by.
    whole, part, moved : callables
        Fit rows in memory; the model on a batch, with the observations in it; attributes of a state.
    by_name : bool
        A formula picks the columns, so that there may be others.
    """
    check_forgetting(forgetting)
    if batches_of(rows["X"]) is not None:
        raise InputTypeError("partial_fit takes one batch, in memory; give fit the source of all batches")
    if read_cov_type(estimator.cov_type).kind != "observed":
        raise InputError(f"cov_type={estimator.cov_type!r} needs the rows, and partial_fit keeps none; use 'observed', "
                         "or fit")  # fmt: skip
    table = read_table(rows["X"])
    settings = tuple((k, repr(v)) for k, v in sorted(estimator.get_params(deep=False).items()) if k not in FREE)
    stream: Stream | None = estimator.__dict__.get("_stream")
    if stream is None:
        stream = Stream(table.names, table.is_frame, settings)
    elif stream.settings != settings:
        raise InputError("the model's settings have changed between batches; keep them, or call fit to start afresh")
    else:
        check_alike(stream, table, type(estimator).__name__, by_name)
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        if stream.state is not None:
            state = stream.state.update(*part(stream.template, rows), float(forgetting))
            fit = as_fit(state, part_template(stream.template), stream.model)
            return fit, moved(stream.template, state, fit) | {"_stream": replace(stream, state=state)}
        held = (*stream.held, rows)
        n = sum(read_table(one["X"]).n for one in held)
        count = estimator.n_components
        if isinstance(count, (int, np.integer)) and n <= max(2 * int(count), len(table.names) + 1) and table.n:
            return None, {"_stream": replace(stream, held=held)}
        found = whole(joined(held))
        stream = replace(stream, held=held, model=found.fit.result.model)
        enough = max(LEAST, HELD * found.mixture.size)
        on_edge = bool(found.fit.result.boundary)  # a probability of 0 so far is a poor summary of these rows
        if n >= (PATIENCE * enough if on_edge else enough):
            first = begin(found.mixture, found.fit, found.fit.result.nobs, len(held))
            if first is not None:
                stream = replace(stream, held=(), state=first, template=found.template)
        return found.fit, found.attributes | {"_stream": stream}


def part_template(template: Any) -> Mixture:
    """The mixture in the coordinates of the filter, without rows."""
    return template if isinstance(template, Mixture) else template.mixture


def check_forgetting(value: Any) -> None:
    """Refuse what no information can be multiplied by."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0.0 < value <= 1.0:
        raise InputError(f"forgetting must be a number above 0 and at most 1, got {value!r}")


def check_alike(stream: Stream, table: Any, owner: str, by_name: bool) -> None:
    """Refuse a batch whose columns are not those of the first one."""
    if table.is_frame != stream.is_frame:
        kinds = ("a table with named columns", "an array")[:: 1 if table.is_frame else -1]
        raise InputTypeError(f"X is {kinds[0]}, and the first batch was {kinds[1]}; make them alike")
    if not table.is_frame and len(table.names) != len(stream.names):
        raise InputError(f"X has {len(table.names)} features, but {owner} is expecting {len(stream.names)} features as "
                         "input: the first batch had as many")  # fmt: skip
    if table.is_frame and not by_name and table.names != stream.names:
        more = [name for name in table.names if name not in stream.names]
        lacking = [name for name in stream.names if name not in table.names]
        what = [f"unseen: {', '.join(more)}"] if more else []
        what += [f"missing: {', '.join(lacking)}"] if lacking else []
        raise InputError("The feature names should match those that were passed during fit: "
                         f"{'; '.join(what) or 'they stand in another order'}")  # fmt: skip


def joined(held: Sequence[Rows]) -> Rows:
    """The arguments of several calls as those of one."""
    if len(held) == 1:
        return held[0]
    out: Rows = {}
    for name in held[0]:
        parts = [rows[name] for rows in held]
        first = parts[0]
        if any((part is None) != (first is None) for part in parts):
            raise InputError(f"some batches have {name} and others have none; give it to all calls or to none")
        if first is None or isinstance(first, str) or np.isscalar(first):
            if any(isinstance(part, str) != isinstance(first, str) or np.ndim(part) for part in parts):
                raise InputError(f"{name} is of another kind than in earlier batches; give it to all calls alike")
            if any(part != first for part in parts):
                raise InputError(f"{name} was {first!r} in the first batch; give the same, or an array, to all calls")
            out[name] = first
        else:
            out[name] = _stacked(parts)
    return out


def _stacked(parts: list[Any]) -> Any:
    """Tables, or arrays, one above the other."""
    import narwhals.stable.v2 as nw

    first = parts[0]
    if hasattr(first, "tocsr"):
        from scipy import sparse

        return sparse.vstack(parts).tocsr()
    if isinstance(first, (np.ndarray, list, tuple)):
        return np.concatenate([np.asarray(part) for part in parts])
    try:
        frames = [nw.from_native(part) for part in parts]
    except TypeError:
        return np.concatenate([np.asarray(part) for part in parts])
    if not all(isinstance(frame, nw.DataFrame) for frame in frames):
        return np.concatenate([np.asarray(part) for part in parts])
    names = frames[0].columns
    native = nw.concat([frame.select(names) for frame in frames]).to_native()
    return native.reset_index(drop=True) if hasattr(native, "reset_index") else native


__all__ = ["Stream", "Whole", "advance"]
