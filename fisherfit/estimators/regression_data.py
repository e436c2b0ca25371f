"""What a mixture of regressions reads: rows as a GLM reads them, the groups they come in, concomitant variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..blocks import Design
from ..clusters import Clusters
from ..errors import InputError, InputTypeError, RankWarning
from ..families import Family
from ..groups import Labels, read_labels
from ..kernels import Kernels, kernels_of
from ..likelihood import expand
from ..linalg import POOR, cholesky, merge_roots
from ..links import Link
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..mixtures.regressions import Regressions
from ..model import in_user_order
from ..prepare import Prepared, prepare
from ..response import Response, check_support
from ..table import Table, check_index, read_table, shown
from ..terms import choose_columns, missing_rows

ROWS = 65_536  # rows whose columns are dense at one time


@dataclass(frozen=True, eq=False)
class Concomitant:
    """The concomitant variables as a fit has learnt them: terms, design (without rows), and the columns kept."""

    terms: Any
    like: Design
    kept: np.ndarray
    given: bool
    names: tuple[str, ...] = ()

    def design(self, table: Table) -> np.ndarray:
        """The design of new rows, (n, q)."""
        return columns_of(standardised(self.terms, table, self.like))[:, self.kept]


@dataclass(frozen=True, eq=False)
class RegressionData:
    """A mixture on the rows of a fit, and what is to be remembered of them."""

    mixture: Mixture
    prepared: Prepared
    concomitant: Concomitant | None
    aliased: tuple[str, ...]
    warnings: tuple[tuple[str, type[Warning]], ...]
    group_name: str | None
    units: (
        np.ndarray | None
    )  # the unit of every row that was passed in, -1 for those left out; None: the rows, in order


class Reading:
    """The settings that `prepare` looks at."""

    def __init__(self, formula: str | None, fit_intercept: bool, missing: str) -> None:
        self.formula, self.fit_intercept, self.missing = formula, fit_intercept, missing
        self.weight_type = "frequency"


def read_data(
    reading: Reading, families: Sequence[Family], links: Sequence[tuple[Link, ...]], shared: Sequence[str],
    concomitant: Any, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any, groups: Any, threads: int,
    skip: tuple[str, ...] = (),
) -> RegressionData:  # fmt: skip
    """Read and check all that `fit` was given, before any work.

    Columns to `skip` are no covariates.

    Raises
    ------
    InputError, InputTypeError, FormulaError
        For what cannot be used; the message names it and the remedy.
    """
    table = read_table(X)
    check_exposure(links, exposure)
    chosen, other, absent, columns, given = read_concomitant(concomitant, table, reading.missing)
    labels = None if groups is None else one_label(groups, table)
    sample_weight = weight_by_row(sample_weight, labels, table.n)
    if labels is not None:
        skip = (*skip, groups) if isinstance(groups, str) else skip
        lost = Clusters((labels.codes,)).absent(reading.missing)
        absent = lost if absent is None else absent if lost is None else absent | lost
    data = prepare(
        reading, families[0], links[0][0], table, y, sample_weight, offset, exposure, skip=(*columns, *skip),
        absent=absent,
    )  # fmt: skip
    check_families(data.y, data.trials, families, data.weight > 0.0)
    row = np.arange(table.n) if data.kept_rows is None else np.flatnonzero(data.kept_rows)
    rows = np.flatnonzero(data.weight > 0.0)
    if labels is not None:
        codes = labels.codes[row]
        rows = rows[np.argsort(codes[rows], kind="stable")]
    in_order = rows.size == data.design.n and bool(np.all(np.diff(rows) == 1))
    weight = data.user_weight if in_order else data.user_weight[rows]
    edges, units = None, None
    if labels is not None:
        _, first = np.unique(codes[rows], return_index=True)
        edges = np.append(first, rows.size)
        check_constant(weight[:, None], edges, ("sample_weight",), labels, codes[rows])
        weight = weight[first]
    if labels is not None or not (in_order and row.size == table.n):
        units = np.full(table.n, -1)
        units[row[rows]] = np.arange(rows.size) if edges is None else np.repeat(np.arange(weight.size), np.diff(edges))
    mixing, learnt, warned = Mixing(len(families)), None, []
    if chosen is not None:
        other = other if data.kept_rows is None else other.take(data.kept_rows)
        some = None if rows.size == other.n else data.weight > 0.0
        terms = chosen.learn(other, some)
        design = terms.design(other, some, checked=True)
        z = columns_of(design) if in_order else columns_of(design)[rows]
        if edges is not None and labels is not None:
            names = tuple(design.names[j] for j in design.position)
            check_constant(z, edges, names, labels, codes[rows])
            z = z[edges[:-1]]
        kept = independent(z, design)
        if not kept.all():
            warned.append((aliased_text(design, kept, "concomitant variables"), RankWarning))
        by_user = np.argsort(design.position)
        jacobian = design.jacobian()[np.ix_(by_user_names(design, kept), np.flatnonzero(kept))]
        mixing = Mixing(len(families), np.ascontiguousarray(z[:, kept]),
                        tuple(design.names[design.position[j]] for j in by_user if kept[j]), jacobian)  # fmt: skip
        learnt = Concomitant(terms, rowless(design), kept, given, columns)
    design = data.design if in_order else data.design.take(rows)
    free = independent_of(design)
    aliased = tuple(design.names[j] for j in sorted(design.position[~free]))
    if aliased:
        warned.append((aliased_text(design, free, "columns"), RankWarning))

    def take(a: Any) -> Any:
        return a if in_order or a is None else np.ascontiguousarray(a[rows])

    trials = np.ones(design.n) if data.trials is None else take(data.trials)
    columns_shared, further = read_shared(shared, data.terms, design, families)
    components = Regressions(
        kernels(families, links), design, take(data.y), trials, take(data.offset), columns_shared, further,
        None if free.all() else free,
    )  # fmt: skip
    if len(families) > weight.size:
        what = "groups" if edges is not None else "rows"
        raise InputError(f"n_components={len(families)} is more than the number of {what} (n_samples={weight.size}); "
                         "use fewer components")  # fmt: skip
    mixture = Mixture(components, mixing, np.ascontiguousarray(weight), edges, threads)
    name = groups if isinstance(groups, str) else None
    return RegressionData(mixture, data, learnt, aliased, tuple(warned), name, units)


def kernels(families: Sequence[Family], links: Sequence[tuple[Link, ...]]) -> tuple[Kernels, ...]:
    """The row kernels of every component."""
    return tuple(kernels_of(family, link) for family, link in zip(families, links, strict=True))


def check_exposure(links: Sequence[tuple[Link, ...]], exposure: Any) -> None:
    """Refuse an exposure where a component has another link than the logarithm."""
    if exposure is not None and any(link[0].name != "log" for link in links):
        name = next(link[0].name for link in links if link[0].name != "log")
        raise InputError(f"exposure needs the log link in every component, not {name!r}; pass offset= on the scale of "
                         "the link instead")  # fmt: skip


def check_families(y: np.ndarray, trials: np.ndarray | None, families: Sequence[Family], present: np.ndarray) -> None:
    """Refuse responses outside the range of some family, and proportions without their trials."""
    for family in families[1:]:
        if trials is not None and not family.takes_trials:
            raise InputError(
                f"y has two columns; successes and failures are for the binomial family, not for {family.name}"
            )
        if family != families[0]:
            check_support(Response(y, trials), family, present)
    if trials is None and any(family.takes_trials for family in families):
        between = present & (y != 0.0) & (y != 1.0)
        if between.any():
            row = int(np.argmax(between))
            raise InputError(f"y has the proportion {y[row]:g} at row {row}, and a mixture needs the number of trials "
                             "it is of; give successes and failures as two columns")  # fmt: skip


def one_label(groups: Any, table: Table) -> Labels:
    """The group of every row."""
    if isinstance(groups, (list, tuple)) and len(groups) and isinstance(groups[0], str) and len(groups) != table.n:
        raise InputError(f"groups={list(groups)!r} names several columns; the rows of a unit have one label, so name "
                         "one column")  # fmt: skip
    return read_labels(groups, table)


def weight_by_row(sample_weight: Any, labels: Labels | None, n: int) -> Any:
    """Weights given one for every group (in the order of the sorted labels), as weights of rows."""
    if labels is None or sample_weight is None or isinstance(sample_weight, str) or np.isscalar(sample_weight):
        return sample_weight
    size = np.shape(sample_weight)
    if len(size) == 1 and size[0] == len(labels.index) != n:
        check_index(sample_weight, "sample_weight", labels.index)
        return np.append(np.asarray(sample_weight, float), 1.0)[labels.codes]
    return sample_weight


def check_constant(
    values: np.ndarray, edges: np.ndarray, names: Sequence[str], labels: Labels, codes: np.ndarray
) -> None:
    """Refuse columns that vary within a group."""
    differs = values != np.repeat(values[edges[:-1]], np.diff(edges), axis=0)
    if differs.any():
        row, j = (int(i) for i in np.argwhere(differs)[0])
        label = shown(labels.index[codes[row]])
        what = "sample_weight" if names[j] == "sample_weight" else f"the concomitant variable {names[j]!r}"
        raise InputError(f"{what} varies within the group {label}, and all rows of a group come from one component; "
                         "give one value for every group")  # fmt: skip


def read_concomitant(
    spec: Any, table: Table, missing: str
) -> tuple[Any, Any, np.ndarray | None, tuple[str, ...], bool]:
    """What is known of the concomitant variables before rows are left out.

    Returns
    -------
    (chosen, table, absent, columns, given)
        What `learn` makes terms of (None without such variables), the table they are in, the rows with missing
        values, the columns of X that they are, and whether they were given as values.
    """
    chosen: Any
    if spec is None:
        return None, table, None, (), False
    if isinstance(spec, str) and "~" in spec:
        from .. import formula as formulas

        chosen = formulas.parse(spec, table)
        if chosen.response or chosen.offsets or not chosen.intercept:
            what = "a response" if chosen.response else "an offset" if chosen.offsets else "no intercept"
            raise InputError(f"concomitant={spec!r} has {what}; write it as '~ z + C(w)'")
        columns, other, given = chosen.needed, table, False
        if not chosen.right:
            return None, table, None, (), False
    elif isinstance(spec, str) or (isinstance(spec, (list, tuple)) and all(isinstance(v, str) for v in spec)):
        columns, other, given = ((spec,) if isinstance(spec, str) else tuple(spec)), table, False
        if not table.is_frame and columns:
            raise InputError(f"concomitant={spec!r} names columns, but X is an array; pass their values to fit")
        for name in columns:
            if name not in table.names:
                listed = ", ".join(map(repr, table.names[:12]))
                raise InputError(f"concomitant={name!r} is not a column of the table; its columns are {listed}")
        if not columns:
            return None, table, None, (), False
        chosen = choose_columns(table, True, [name for name in table.names if name not in columns])
    else:
        other, columns, given = concomitant_table(spec, table), (), True
        if not other.names:
            return None, table, None, (), False
        chosen = choose_columns(other, True)
    return chosen, other, missing_rows(other, chosen.needed, missing), columns, given


def concomitant_table(spec: Any, table: Table) -> Table:
    """Values of concomitant variables, one row for every row of X."""
    if hasattr(spec, "to_frame") and len(getattr(spec, "shape", ())) == 1:
        spec = spec.to_frame()
    elif np.ndim(spec) == 1 and not hasattr(spec, "columns"):
        spec = np.asarray(spec)[:, None]
    check_index(spec, "concomitant", table.index)
    try:
        other = read_table(spec, "concomitant")
    except InputTypeError:
        raise
    if other.n != table.n:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: concomitant has {other.n} rows, "
            f"X has {table.n}"
        )
    if not other.is_frame:
        other = replace(other, names=tuple(f"z{j}" for j in range(len(other.names))))
    return other


def read_shared(
    shared: Sequence[str], terms: Any, design: Design, families: Sequence[Family]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which columns (in the order of the design), and which further parameters, all components have in common."""
    from ..mixtures.further import further_of
    from ..model_terms import terms_of

    by_name: dict[str, tuple[int, ...]] = {name: (j,) for j, name in enumerate(design.names)}
    by_name |= {term.name: term.positions for term in terms_of(terms)}
    by_name |= {next(iter(t.factors)): t.positions for t in terms_of(terms) if len(t.factors) == 1}
    further = [[f.name for f in further_of(family)] for family in families]
    user, common = np.zeros(design.width, bool), []
    for name in shared:
        if name in by_name:
            user[list(by_name[name])] = True
        elif all(name in own for own in further):
            common.append(name)
        else:
            known = [*by_name, *further[0]]
            raise InputError(f"shared: {name!r} is neither a column, a term nor a parameter of every component; they "
                             f"have {', '.join(map(repr, known[:12]))}"
                             f"{', ...' if len(known) > 12 else ''}")  # fmt: skip
    alike = all(family == families[0] for family in families)
    if len(families) > 1 and user.all() and alike and all(name in common for name in further[0]):
        raise InputError("shared names every parameter, so that the components would be the same; leave one out, "
                         "'Intercept' for example")  # fmt: skip
    return user[design.position], tuple(dict.fromkeys(common))


def columns_of(design: Design) -> np.ndarray:
    """The standardised columns of a design, dense."""
    return expand(design, 0, design.n)


def rowless(design: Design) -> Design:
    """The standardisation of a design without its rows."""
    none = np.empty(0, np.int32)
    sparse = None if design.sparse is None else design.sparse.take(slice(0, 0))
    return replace(
        design, n=0, dense=(), categorical=tuple(replace(c, codes=none) for c in design.categorical), sparse=sparse
    )  # fmt: skip


def standardised(terms: Any, table: Table, like: Design) -> Design:
    """The design of new rows, standardised as that of the fit."""
    if like.sparse is None:
        return terms.design(table, like=like)
    design = terms.design(table)
    sparse = design.sparse
    data = sparse.data / sparse.scale[sparse.indices] * like.sparse.scale[sparse.indices]
    sparse = replace(sparse, data=data, inverse_scale=like.sparse.inverse_scale)
    return replace(design, centre=like.centre, inverse_scale=like.inverse_scale, rounding=like.rounding, sparse=sparse)


def independent_of(design: Design) -> np.ndarray:
    """True for the columns, in the order of the design, that are no combination of those before them for the user."""
    gram = np.zeros((design.width, design.width))
    for start in range(0, design.n, ROWS):
        x = expand(design, start, min(start + ROWS, design.n))
        gram += x.T @ x
    factor = cholesky(gram)
    if factor is not None and factor.reciprocal_condition > POOR:
        return np.ones(design.width, bool)
    root = None
    for start in range(0, design.n, ROWS):
        root = merge_roots(root, expand(design, start, min(start + ROWS, design.n)))
    assert root is not None
    return in_user_order(root, design.sizes, design.position)


def independent(z: np.ndarray, design: Design) -> np.ndarray:
    """As `independent_of`, for rows in memory."""
    return in_user_order(merge_roots(None, z), design.sizes, design.position)


def by_user_names(design: Design, kept: np.ndarray) -> np.ndarray:
    """The user's numbers of the columns kept, ascending."""
    return np.sort(design.position[kept])


def aliased_text(design: Design, kept: np.ndarray, what: str) -> str:
    """What is said of columns that are combinations of others."""
    names = [design.names[j] for j in sorted(design.position[~kept])]
    listed = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
    return (f"{len(names)} of the {what} {'are combinations' if len(names) > 1 else 'is a combination'} of those "
            f"before and left out ({listed})")  # fmt: skip


__all__ = ["Concomitant", "Reading", "RegressionData", "read_data", "standardised"]
