"""What Numba has no words for: memory by its address, and functions by theirs.

A kernel that takes arrays is compiled anew for every layout, dtype and read-only flag; one that takes addresses is
compiled once. BLAS comes from scipy (`scipy.linalg.cython_blas`), and its address is an argument, so that the code
around it can be kept on disk. Vector registers are reached in the words of LLVM. Import this module only where a
kernel is built: it imports Numba.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

_VOID, _CHAR, _INT, _DOUBLE = ir.VoidType(), ir.IntType(8), ir.IntType(32), ir.DoubleType()

#: a part of a loop is called from compiled code only: it needs no entries for Python and for C
inlined: Callable[..., Any] = register_jitable(no_cfunc_wrapper=True, no_cpython_wrapper=True)


@intrinsic
def pointer(typingctx, address):
    """The address as a pointer, for `numba.carray`."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), codegen


@intrinsic
def borrowed(typingctx, array):
    """The array without a share in its memory: whoever holds the memory must outlive it.

    Every slice and every call with an array counts its owners, by two locked instructions: more than the work on a
    few rows.
    """

    def codegen(context, builder, signature, args):
        view = context.make_array(signature.return_type)(context, builder, args[0])
        view.meminfo = view.meminfo.type(None)
        view.parent = view.parent.type(None)
        return view._getvalue()

    return array(array), codegen


@intrinsic
def call_rows(typingctx, address, y, weight, eta, constants, what, u, w):
    """Call the row kernel whose machine code is at an address; see `Kernels.address`."""
    signature = types.float64(types.intp, y, weight, eta, constants, what, u, w)

    def codegen(context, builder, signature, args):
        kinds = signature.args[1:]
        kind = context.call_conv.get_function_type(signature.return_type, kinds)
        function = builder.inttoptr(args[0], kind.as_pointer())
        status, value = context.call_conv.call_function(builder, function, signature.return_type, kinds, args[1:])
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return value

    return signature, codegen


def _fortran(pattern: str) -> Any:
    """An intrinsic that calls a Fortran subroutine.

    In the pattern `c` is a character, `i` an integer, `d` a number, `a` the address of doubles; all but the addresses
    go by reference, through the stack.
    """
    kinds = {"c": types.int64, "i": types.int64, "d": types.float64, "a": types.intp}
    native = {"c": _CHAR, "i": _INT, "d": _DOUBLE, "a": _DOUBLE}

    def codegen(context, builder, signature, args):
        values = []
        for at, letter in enumerate(pattern):
            value = builder.extract_value(args[1], at)
            if letter == "a":
                values.append(builder.inttoptr(value, _DOUBLE.as_pointer()))
                continue
            if letter in "ci":
                value = builder.trunc(value, native[letter])
            slot = cgutils.alloca_once(builder, native[letter])
            builder.store(value, slot)
            values.append(slot)
        kind = ir.FunctionType(_VOID, [native[letter].as_pointer() for letter in pattern])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    signature = types.void(types.intp, types.Tuple([kinds[letter] for letter in pattern]))
    return signature, codegen


@intrinsic
def fortran_dgemv(typingctx, address, arguments):
    """dgemv(trans, m, n, alpha, a, lda, x, incx, beta, y, incy)."""
    return _fortran("ciidaiaidai")


@intrinsic
def fortran_dsyrk(typingctx, address, arguments):
    """dsyrk(uplo, trans, n, k, alpha, a, lda, beta, c, ldc)."""
    return _fortran("cciidaidai")


@intrinsic
def fortran_dgemm(typingctx, address, arguments):
    """dgemm(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)."""
    return _fortran("cciiidaiaidai")


@intrinsic
def lapack_dpotrf(typingctx, address, arguments):
    """dpotrf(uplo, n, a, lda, info)."""
    return _fortran("ciaia")


@intrinsic
def lapack_dpocon(typingctx, address, arguments):
    """dpocon(uplo, n, a, lda, anorm, rcond, work, iwork, info)."""
    return _fortran("ciaidaaaa")


@intrinsic
def lapack_dpotrs(typingctx, address, arguments):
    """dpotrs(uplo, n, nrhs, a, lda, b, ldb, info)."""
    return _fortran("ciiaiaia")


@intrinsic
def scale_eight(typingctx, source, factor, target):
    """Eight doubles times a factor, from one address to another."""

    def codegen(context, builder, signature, args):
        eight = ir.VectorType(_DOUBLE, 8)
        source, target = (builder.inttoptr(args[at], eight.as_pointer()) for at in (0, 2))
        blank = ir.Constant(eight, ir.Undefined)
        one = builder.insert_element(blank, args[1], ir.Constant(_INT, 0))
        same = builder.shuffle_vector(one, blank, ir.Constant(ir.VectorType(_INT, 8), [0] * 8))
        builder.store(builder.fmul(same, builder.load(source, align=8)), target, align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.float64, types.intp), codegen


@intrinsic
def standardise_eight(typingctx, source, centre, scale, target):
    """Eight doubles minus their centres, times their scales; all by address."""

    def codegen(context, builder, signature, args):
        eight = ir.VectorType(_DOUBLE, 8)
        x, centre, scale, target = (builder.inttoptr(address, eight.as_pointer()) for address in args)
        x, centre, scale = (builder.load(pointer, align=8) for pointer in (x, centre, scale))
        builder.store(builder.fmul(builder.fsub(x, centre), scale), target, align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), codegen


@inlined
def whole_rows(m, d):
    """How many of m rows of d doubles can be read and written by whole vectors of 8 without leaving the m rows.

    What is too much of a row belongs to those that follow, which are written later.
    """
    return max(0, m - (8 * ((d + 7) // 8) - 1) // d)


@inlined
def standardise_rows(address, step, m, d, standards, first, out):
    """out = (x - centre) * scale for m rows of d neighbouring doubles each, by whole vectors."""
    padded, vectors = 8 * ((d + 7) // 8), whole_rows(m, d)
    by_column = np.zeros((2, padded))
    for j in range(d):
        by_column[0, j], by_column[1, j] = standards[first + j, 0], standards[first + j, 1]
    centre, source, target = by_column.ctypes.data, address, out.ctypes.data
    for _ in range(vectors):
        for at in range(0, 8 * d, 64):
            standardise_eight(source + at, centre + at, centre + 8 * padded + at, target + at)
        source += 8 * step
        target += 8 * d
    x = carray(pointer(address), ((m - 1) * step + d,), np.float64)
    for i in range(vectors, m):
        for j in range(d):
            out[i * d + j] = (x[i * step + j] - by_column[0, j]) * by_column[1, j]


def _tile(rows: int, vectors: int) -> Any:
    """An intrinsic that sums outer products over rows of s: `rows` by 8 `vectors` numbers that stay in registers."""
    eight = ir.VectorType(_DOUBLE, 8)

    @intrinsic
    def tile(typingctx, s, lead, m, first, column, out):
        """out[r, c] = sum of s[i, first + r] s[i, column + c] over m rows of `lead` doubles."""

        def codegen(context, builder, signature, args):
            s, lead, m, first, column, out = args
            place = ir.IntType(64)
            sums = [[cgutils.alloca_once(builder, eight) for _ in range(vectors)] for _ in range(rows)]
            for slot in (slot for line in sums for slot in line):
                builder.store(ir.Constant(eight, [0.0] * 8), slot)
            base, zeros = builder.inttoptr(s, _DOUBLE.as_pointer()), ir.Constant(ir.VectorType(_INT, 8), [0] * 8)
            blank = ir.Constant(eight, ir.Undefined)

            def vector_at(start, at):
                return builder.bitcast(builder.gep(start, [ir.Constant(place, at)]), eight.as_pointer())

            with cgutils.for_range(builder, m, intp=place) as loop:
                row = builder.gep(base, [builder.mul(loop.index, lead)])
                left, right = builder.gep(row, [first]), builder.gep(row, [column])
                values = [builder.load(vector_at(right, 8 * v), align=8) for v in range(vectors)]
                for r in range(rows):
                    one = builder.load(builder.gep(left, [ir.Constant(place, r)]))
                    one = builder.insert_element(blank, one, ir.Constant(_INT, 0))
                    same = builder.shuffle_vector(one, blank, zeros)
                    for v in range(vectors):  # fused to one instruction where the processor has it
                        product = builder.fmul(same, values[v], flags=("contract",))
                        builder.store(builder.fadd(builder.load(sums[r][v]), product, flags=("contract",)), sums[r][v])
            to = builder.inttoptr(out, _DOUBLE.as_pointer())
            for r in range(rows):
                for v in range(vectors):
                    builder.store(builder.load(sums[r][v]), vector_at(to, 8 * (r * vectors + v)), align=8)
            return context.get_dummy_value()

        return types.void(types.intp, types.int64, types.int64, types.int64, types.int64, types.intp), codegen

    return tile


def _has_wide_registers() -> bool:
    """True for AVX-512: 32 registers of 8 doubles; else there may be 16 of 4."""
    from numba.core import config

    features = getattr(config, "CPU_FEATURES", None)
    if features is not None or getattr(config, "CPU_NAME", None):
        return "+avx512f" in (features or "")
    return bool(llvm.get_host_cpu_features().get("avx512f", False))


#: rows of a tile, and how many vectors of columns its widest and its middle form have
TILE, WIDEST, MIDDLE = (8, 3, 2) if _has_wide_registers() else (4, 1, 1)
widest_tile, middle_tile, narrow_tile = _tile(TILE, WIDEST), _tile(TILE, MIDDLE), _tile(TILE, 1)


@cache
def blas_addresses() -> np.ndarray:
    """The addresses of dgemv, dsyrk and dgemm in scipy's BLAS."""
    from scipy.linalg import cython_blas

    return _addresses(cython_blas, "dgemv", "dsyrk", "dgemm")


@cache
def lapack_addresses() -> np.ndarray:
    """The addresses of dpotrf, dpocon and dpotrs in scipy's LAPACK, and of dgemv."""
    from scipy.linalg import cython_lapack

    return np.append(_addresses(cython_lapack, "dpotrf", "dpocon", "dpotrs"), blas_addresses()[0])


def _addresses(module: Any, *names: str) -> np.ndarray:
    name, address = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsules = [module.__pyx_capi__[routine] for routine in names]
    return np.array([address(capsule, name(capsule)) for capsule in capsules], np.int64)
