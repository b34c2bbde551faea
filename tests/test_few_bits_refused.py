"""Arrays that are no few-bit layer's: one line with the channel, no warning, nothing that wraps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from few_bits import task_of

from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator
from tvm_ops.template import default_knobs

pytestmark = pytest.mark.filterwarnings("error")

KEYS = [
    "bitserial_conv2d-n1_ci64_h5_w5_co9_k3_s1_p1_a1_w1_bipolar_thr1-u64",
    "bitserial_conv2d-n1_ci64_h5_w5_co9_k3_s1_p1_a2_w2_unipolar_shift2-u32",
    "bitserial_conv2d-n1_ci64_h5_w5_co9_k3_s1_p1_a3_w1_bipolar0_acc-u8",
    "bitserial_dense-n2_ci64_co9_a2_w1_bipolar_thr2-u64",
    "bitserial_dense-n2_ci64_co9_a1_w2_unipolar_shift3-u32",
    "bitpack-n1_h3_w3_c9_a2_channel-f32u64",
    "bitpack-n1_h3_w3_c9_a3_tensor-s32u8",
    "fused_glue-n1_h3_w3_c9_thr2-s16u64",
    "fused_glue-n1_h3_w3_c9_shift2-s32u64",
    "binary_input_conv2d-n1_ci3_h6_w6_co9_k3_s1_p1_u8_thr2-u64",
    "binary_input_conv2d-n1_ci3_h6_w6_co9_k3_s1_p1_s8_shift2-u64",
    "binary_input_conv2d-n1_ci3_h6_w6_co9_k3_s1_p1_s8_acc-u64",
    "packed_add-n1_h3_w3_c9_a2_unipolar_thr2-u64",
    "packed_add-n1_h3_w3_c9_a1_bipolar_acc-u64",
    "packed_concat-n1_h3_w3_c7x9_a2-u64",
    "packed_max_pool2d-n1_h6_w6_c9_k3_s2_p0_a2-u64",
    "packed_global_avg_pool-n1_h3_w3_c9_a2_unipolar-u64",
]
Arrays = dict[str, Any]
INT64 = np.iinfo(np.int64)


def refusals(key: str, arrays: Arrays) -> list[str]:
    """What ``pack`` and ``reference`` say, each of one line."""
    task = task_of(key, "rpi3")
    operator, found = get_operator(task.operator), []
    calls: list[Callable[[], Any]] = [
        lambda: operator.pack(task.workload, default_knobs(task), arrays),
        lambda: operator.reference(task.workload, arrays),
    ]
    for call in calls:
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)
        found.append(str(error.value))
    return found


def sound(key: str) -> Arrays:
    task = task_of(key, "rpi3")
    arrays: Arrays = get_operator(task.operator).data(task.workload, 0)
    return arrays


def with_last(array: Any, value: Any, dtype: Any = None) -> Any:
    """The array with this last element, which is of channel 8."""
    changed = array.astype(dtype or array.dtype)
    changed.flat[-1] = value
    return changed


@pytest.mark.parametrize("key", KEYS)
def test_no_arrays_of_the_kind(key: str) -> None:
    arrays = sound(key)
    for name, array in arrays.items():
        for wrong, message in [
            (array.tolist(), f"'{name}' is a list, not an array"),
            (None, f"'{name}' is a NoneType, not an array"),
            (array[:0], f"'{name}' has shape (0"),
            (array[..., :-1], f"'{name}' has shape ("),
            (array[None], f"'{name}' has shape (1, "),
            (array.astype(bool), f"'{name}' is of type |b1, not of numbers"),
            (array.astype(complex), f"'{name}' is of type <c16, not of numbers"),
            (array.astype(str), f"'{name}' is of type <U"),
            (array.astype(object), f"'{name}' is of type |O, not of numbers"),
        ]:
            for said in refusals(key, arrays | {name: wrong}):
                assert message in said
    for said in refusals(key, arrays | {"slope": np.ones(9)}):
        assert "'slope' is no argument" in said


@pytest.mark.parametrize("key", KEYS)
def test_parameters_are_given_together(key: str) -> None:
    """The reference needs all arguments, ``pack`` all parameters or none."""
    task, arrays = task_of(key, "rpi3"), sound(key)
    operator = get_operator(task.operator)
    for name in arrays:
        others = {n: a for n, a in arrays.items() if n != name}
        with pytest.raises(InputError, match=f"'{name}' is missing: .* needs .*{name}"):
            operator.reference(task.workload, others)
        if name in task.workload.parameters and len(task.workload.parameters) > 1:
            assert f"'{name}' is missing: " in refusals(key, others)[0]
        else:
            operator.pack(task.workload, default_knobs(task), others)


def _is_codes(key: str, name: str) -> bool:
    return name[0] in "xr" and not key.startswith(("bitpack", "fused", "binary"))


@pytest.mark.parametrize("key", [key for key in KEYS if _is_codes(key, "x")])
def test_codes_out_of_range(key: str) -> None:
    arrays = sound(key)
    bits = task_of(key).workload.a_bits
    for name in [name for name in arrays if _is_codes(key, name)]:
        channel = arrays[name].shape[-1] - 1
        wrong: list[tuple[Any, Any]] = [(2**bits, np.uint8), (255, np.uint8), (-1, np.int8)]
        wrong += [(256, np.int16), (2**32, np.int64), (INT64.min, np.int64), (2**63, np.uint64)]
        for code, dtype in wrong:
            message = f"{name}: channel {channel} has {code}, {bits} bits hold 0 to {2**bits - 1}"
            changed = with_last(arrays[name], code, dtype)
            assert refusals(key, arrays | {name: changed}) == [message] * 2
        for said in refusals(key, arrays | {name: arrays[name].astype(np.float32)}):
            assert f"{name}: codes are integers, not float32" in said


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith("bi") and "_co9" in key])
def test_weights_that_are_not_binary(key: str) -> None:
    arrays = sound(key)
    allowed = "-3, -1, +1, +3" if "_w2_" in key else "-1, +1"
    wrong: list[tuple[Any, Any]] = [(0, np.int8), (2, np.int8), (5, np.int8), (-128, np.int8)]
    wrong += [(0.5, np.float32), (np.nan, np.float32), (np.inf, np.float32), (-np.inf, float)]
    wrong += [(INT64.min, np.int64), (2**32 + 1, np.int64), (2**64 - 1, np.uint64)]
    for weight, dtype in wrong:
        base = np.abs(arrays["weights"]) if dtype == np.uint64 else arrays["weights"]
        said = refusals(key, arrays | {"weights": with_last(base, weight, dtype)})
        assert said == [f"weights: channel 8 has {weight}, which is none of {allowed}"] * 2


@pytest.mark.parametrize("key", [key for key in KEYS if "thr" in key])
def test_thresholds_and_signs(key: str) -> None:
    arrays = sound(key)
    thresholds = np.tile(np.arange(arrays["thresholds"].shape[1]), (9, 1))
    wrong: list[tuple[Any, Any]] = [(0.5, np.float32), (np.nan, np.float32), (np.inf, np.float32)]
    wrong += [(2**31, np.int64), (2**40, np.int64), (2**63, np.uint64), (1e30, np.float64)]
    for value, dtype in wrong:
        for said in refusals(key, arrays | {"thresholds": with_last(thresholds, value, dtype)}):
            assert f"thresholds: channel 8 has {dtype(value)}, not an integer of -2147" in said
    if thresholds.shape[1] > 1:
        for said in refusals(key, arrays | {"thresholds": with_last(thresholds, -1)}):
            assert "thresholds: channel 8 has [ 0  1 -1], not ascending" in said
    for sign, message in [(0, "0, not +1 or -1"), (2, "2, not an integer"), (-128, "-128, not")]:
        for said in refusals(key, arrays | {"signs": with_last(arrays["signs"], sign)}):
            assert f"signs: channel 8 has {message}" in said


@pytest.mark.parametrize("key", [key for key in KEYS if "shift" in key])
def test_means_and_shifts(key: str) -> None:
    arrays = sound(key)
    for shift, dtype in [(32, np.int32), (-1, np.int32), (256, np.int16), (2**40, np.int64)]:
        for said in refusals(key, arrays | {"shift": with_last(arrays["shift"], shift, dtype)}):
            assert f"shift: channel 8 has {shift}, not an integer of 0 to 31" in said
    means: list[tuple[Any, Any]] = [(2**31, np.int64), (-(2**31) - 1, np.int64), (0.5, np.float32)]
    for mu, dtype in [*means, (np.nan, np.float64), (-np.inf, np.float64)]:
        for said in refusals(key, arrays | {"mu": with_last(arrays["mu"], mu, dtype)}):
            assert f"mu: channel 8 has {mu}, not an integer of -2147483648 to" in said


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith("bitpack")])
def test_thresholds_of_bitpack(key: str) -> None:
    arrays = sound(key)
    rows = arrays["thresholds"].shape[0]
    falling = np.sort(arrays["thresholds"] + np.arange(arrays["thresholds"].shape[1]))[:, ::-1]
    falling = falling.astype(arrays["thresholds"].dtype)
    rising = falling[:, ::-1].copy()
    rising[-1] = falling[-1]
    for said in refusals(key, arrays | {"thresholds": rising}):
        assert f"thresholds: channel {rows - 1} has " in said
        assert said.endswith(": not ascending numbers")
    for name in arrays:
        other = np.int16 if arrays[name].dtype != np.int16 else np.int8
        for said in refusals(key, arrays | {name: np.zeros_like(arrays[name], other)}):
            assert f"'{name}' is int16, " in said


@pytest.mark.parametrize("key", KEYS)
def test_fields_of_a_workload(key: str) -> None:
    """Any field of another type or out of range; a key cannot say most of these."""
    w = task_of(key).workload
    for field in fields(w):
        value = getattr(w, field.name)
        wrong: list[Any]
        if isinstance(value, int):
            wrong = [-1, 2**31, 2**64, 1.5, True, "1", None, np.int32(4)]
        elif isinstance(value, str):
            wrong = ["", "other", None, 1]
        else:
            wrong = [1, (), (1.5, 1.5), (-1, -1), (2**40, 2**40), [1, 1]]
            wrong += [(1,), (1, 1, 1)] if field.type == "Pair" else [(1,), (1,) * 15, (0, 1)]
        for other in wrong:
            with pytest.raises(InputError) as error:
                replace(w, **{field.name: other})
            assert str(error.value).startswith("workload "), f"{field.name} {other}"
            assert "\n" not in str(error.value)
    if getattr(w, "glue", "") == "acc":
        with pytest.raises(InputError, match="glue acc has out_bits 0"):
            replace(w, out_bits=1)
