"""Compiled twins of the functions that take a number apart by its bits.

Written so that a loop over them vectorises on every x86 and ARM: shifts and additions of 64-bit integers, and no
conversion between integers and floats, which AVX2 lacks. Imported when the first kernel is built: it needs Numba.
"""

from __future__ import annotations

from typing import Any

from numba import extending, types

from . import elementary
from .elementary import where

intrinsic: Any = extending.intrinsic
overload: Any = extending.overload

ONE = 0x3FF0000000000000
SQRT_HALF = 0x3FE6A09E667F3BCD
MANTISSA = 0x000FFFFFFFFFFFFF
TWO_52 = 0x4330000000000000  # the bits of 2^52: a whole number below 2^52, put into them, is that number more
HALF = 1 << 51
NEAREST = HALF - (1 << 63)  # half an exponent step, and 2048 of them (modulo 2^64), so that the sum is not negative
CENTRE = 4503599627372544.0  # 2^52 + 2048
BIAS = 4503599627371519.0  # 2^52 + 1023


@intrinsic
def bits(typing: Any, x: Any) -> Any:
    """The 64 bits of a double as a whole number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic
def double(typing: Any, i: Any) -> Any:
    """The double that has these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


@intrinsic
def shifted(typing: Any, i: Any) -> Any:
    """The 12 upper bits of 64, as a whole number of at least 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], context.get_constant(types.int64, 52))

    return types.int64(types.int64), generate


@extending.type_callable(elementary.where)
def _where(context: Any) -> Any:
    return lambda condition, a, b: types.float64 if types.boolean == condition else None


@extending.lower_builtin(elementary.where, types.boolean, types.float64, types.float64)
def _select(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """An instruction that selects one of two doubles."""
    return builder.select(*args)


@extending.type_callable(elementary.widest)
def _widest(context: Any) -> Any:
    return lambda: types.none


@extending.lower_builtin(elementary.widest)
def _prefer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Tell the compiler that the function it is called in is worth the widest vectors of the machine.

    With AVX-512 it prefers half of them, for the sake of processors that slow down otherwise; these loops are dense in
    arithmetic and gain a third. llvmlite knows the names of some attributes only; this one is added as it is printed.
    """
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')
    return context.get_dummy_value()


@overload(elementary.power_of_two)
def _power_of_two(k: Any) -> Any:
    shift = elementary.SHIFT

    def twin(k: Any) -> Any:
        return double((bits(k + shift) + 1023) << 52)

    return twin


@overload(elementary.split)
def _split(x: Any) -> Any:
    tiny = elementary.TINY

    def twin(x: Any) -> Any:
        denormal = x < tiny
        i = bits(where(denormal, x * 18014398509481984.0, x)) + (ONE - SQRT_HALF)
        k = double(shifted(i) | TWO_52) - BIAS
        return double((i & MANTISSA) + SQRT_HALF), k - where(denormal, 54.0, 0.0)

    return twin


@overload(elementary.align)
def _align(a: Any, b: Any) -> Any:
    tiny = elementary.TINY

    def twin(a: Any, b: Any) -> Any:
        denormal = a < tiny
        i = bits(b)
        t = bits(where(denormal, a * 18014398509481984.0, a)) - i + NEAREST
        k = double(shifted(t) | TWO_52) - CENTRE
        j = (i & MANTISSA) | ONE
        return k - where(denormal, 54.0, 0.0), double(j + (t & MANTISSA) - HALF), double(j)

    return twin
