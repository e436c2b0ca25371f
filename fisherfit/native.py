"""What Numba has no words for: memory by its address, and functions by theirs.

A kernel that takes arrays is compiled anew for every layout, dtype and read-only flag; one that takes addresses is
compiled once. BLAS comes from scipy (`scipy.linalg.cython_blas`), and its address is an argument, so that the code
around it can be kept on disk. Import this module only where a kernel is built: it imports Numba.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_VOID, _CHAR, _INT, _DOUBLE = ir.VoidType(), ir.IntType(8), ir.IntType(32), ir.DoubleType()


@intrinsic
def pointer(typingctx, address):
    """The address as a pointer, for `numba.carray`."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), codegen


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


@cache
def blas_addresses() -> np.ndarray:
    """The addresses of dgemv, dsyrk and dgemm in scipy's BLAS."""
    from scipy.linalg import cython_blas

    name, address = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsules = [cython_blas.__pyx_capi__[routine] for routine in ("dgemv", "dsyrk", "dgemm")]
    return np.array([address(capsule, name(capsule)) for capsule in capsules], np.int64)
