"""The few-bit convolution in numpy, its test data, what its arrays have to be."""

from __future__ import annotations

from math import sqrt

import numpy as np

from tvm_ops.operators import _bits, _glue
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._few_bits import check_given, glue_data
from tvm_ops.operators._layout import Array


def sums(w: FewBitWorkload, x: Array, weights: Array) -> Array:
    """y[n, oh, ow, co], int64, of codes x and weights."""
    polarity = "unipolar" if w.polarity == "unipolar" else "bipolar"
    values = _bits.values(x, w.a_bits, polarity)
    pad = -(2**w.a_bits - 1) if w.polarity == "bipolar" else 0
    edges = [(0, 0), (w.pad[0],) * 2, (w.pad[1],) * 2, (0, 0)]
    padded = np.pad(values, edges, constant_values=pad).astype(np.float64)
    (kh, kw), (sh, sw), g = w.kernel, w.stride, w.groups
    split = padded.reshape(*padded.shape[:3], g, w.ci // g)
    grouped = weights.astype(np.float64).reshape(g, w.co // g, kh, kw, w.ci // g)
    y = np.zeros((w.n, w.out_h, w.out_w, g, w.co // g))
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + (w.out_h - 1) * sh + 1, sh)
            cols = slice(j, j + (w.out_w - 1) * sw + 1, sw)
            taps = split[:, rows, cols]  # sums below 2^30 are exact in float64
            y += np.einsum("nhwgc,goc->nhwgo", taps, grouped[:, :, i, j], optimize=True)
    return y.reshape(w.output_shape).astype(np.int64)


def reference(w: FewBitWorkload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, oh, ow, co], or sums in ``output_dtype``; numpy only. Raises as ``check``."""
    check(w, arrays, all_of_them=True)
    y = sums(w, arrays["x"], arrays["weights"])
    found = _glue.glue_codes(w.glue, y, arrays, w.out_bits)
    return found.astype(w.output_dtype) if w.glue == "acc" else found


def data(w: FewBitWorkload, seed: int = 0) -> dict[str, Array]:
    """Seeded arrays for ``w.arguments``; thresholds and shifts where sums are."""
    rng = np.random.default_rng(seed)
    top = 2**w.w_bits - 1
    spread = sqrt(w.k) * (2**w.a_bits - 1) * top
    arrays: dict[str, Array] = {
        "x": rng.integers(0, 2**w.a_bits, w.input_shape, np.uint8),
        "weights": (2 * rng.integers(0, top + 1, w.weights_shape) - top).astype(np.int8),
    }
    return arrays | glue_data(rng, w.glue, w.out_bits, w.co, spread)


def check(w: FewBitWorkload, arrays: dict[str, Array], *, all_of_them: bool = False) -> None:
    """Raises ``InputError``, naming the channel, for what is no such workload's."""
    check_given(w, arrays, all_of_them=all_of_them)
    if "x" in arrays:
        _bits.check_codes(arrays["x"], w.a_bits, "x")


def unpack_output(w: FewBitWorkload, y: Array) -> Array:
    """Codes uint8[n, oh, ow, co] or sums of what the kernel wrote."""
    y = y.reshape(w.kernel_output_shape)
    return y if w.glue == "acc" else _bits.unpack_codes(y, w.co)
