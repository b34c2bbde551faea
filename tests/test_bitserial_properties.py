"""Random few-bit workloads with any legal knobs against numpy, assembly and ARMv7 by emulation."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.test_properties import EACH, check
from tvm_ops.operators import bitserial_conv2d, bitserial_dense
from tvm_ops.operators._bits import WORDS

BITS = st.fixed_dictionaries(
    {
        "a_bits": st.integers(1, 3),
        "w_bits": st.integers(1, 2),
        "word": st.sampled_from(sorted(WORDS)),
    }
)
GLUE = st.one_of(
    st.just({"glue": "acc", "out_bits": 0}),
    st.fixed_dictionaries(
        {"glue": st.sampled_from(["thr", "shift"]), "out_bits": st.integers(1, 3)}
    ),
)
TARGETS = st.sampled_from(["host", "rpi3", "rpi4", "rpi3-armv7"])
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@EACH
@given(
    n=st.integers(1, 2), ci=st.integers(1, 9), h=st.integers(1, 9), w=st.integers(1, 11),
    co=st.integers(1, 20), groups=st.sampled_from([1, 1, 1, 2, 3]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)), stride=PAIRS,
    pad=st.tuples(st.integers(0, 3), st.integers(0, 3)), bits=BITS, glue=GLUE,
    polarity=st.sampled_from(["bipolar", "bipolar0", "unipolar"]), target=TARGETS,
    seed=st.integers(0, 99),
)  # fmt: skip
def test_bitserial_conv2d(
    n: int, ci: int, h: int, w: int, co: int, groups: int, kernel: tuple[int, int],
    stride: tuple[int, int], pad: tuple[int, int], bits: dict[str, Any], glue: dict[str, Any],
    polarity: str, target: str, seed: int,
) -> None:  # fmt: skip
    h, w = (max(size, k - 2 * p) for size, k, p in zip((h, w), kernel, pad, strict=True))
    if groups > 1 and seed % 2:  # of whole tiles
        co *= 8
    shape = bitserial_conv2d.Workload(
        n, 32 * ci * groups, h, w, co * groups, kernel, stride, pad, groups, polarity=polarity,
        **bits, **glue,
    )  # fmt: skip
    check("bitserial_conv2d", shape, seed, target)


@EACH
@given(
    n=st.integers(1, 12), ci=st.integers(1, 40), co=st.integers(1, 40), bits=BITS, glue=GLUE,
    polarity=st.sampled_from(["bipolar", "unipolar"]), target=TARGETS, seed=st.integers(0, 99),
)  # fmt: skip
def test_bitserial_dense(
    n: int, ci: int, co: int, bits: dict[str, Any], glue: dict[str, Any], polarity: str,
    target: str, seed: int,
) -> None:  # fmt: skip
    shape = bitserial_dense.Workload(n, 32 * ci, co, polarity=polarity, **bits, **glue)
    check("bitserial_dense", shape, seed, target)
