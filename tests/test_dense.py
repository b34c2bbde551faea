"""The order in which weights of a dense layer are packed, by counting; its keys."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_ops.errors import InputError
from tvm_ops.operators import dense

KNOBS = {"sketch": "co_streams", "streams": 2, "tile": [1, 4], "lanes": 4}


def pack(w: dense.Workload, **knobs: object) -> dict[str, np.ndarray]:
    weights = np.arange(w.co * w.ci, dtype=np.float32).reshape(w.weights_shape)
    arrays = {"weights": weights, "bias": np.arange(w.co, dtype=np.float32)}
    return dense.pack(w, KNOBS | knobs, arrays)


def test_streams_along_co() -> None:
    packed = pack(dense.Workload(1, 6, 13))
    streams = packed["weights"].reshape(2, 2, 6, 4)  # stream, tile, ci, co of the tile
    assert streams[1, 0, 5, 3] == 6 * (2 * 4 + 3) + 5
    assert streams[1, 1, 2].tolist() == [6 * 12 + 2, 0, 0, 0]
    assert packed["bias"].tolist() == [*range(13), 0, 0, 0]


def test_streams_along_ci() -> None:
    packed = pack(dense.Workload(1, 6, 13), sketch="ci_streams")
    streams = packed["weights"].reshape(2, 4, 3, 4)
    assert streams[1, 2, 1, 3] == 6 * (2 * 4 + 3) + 3 + 1
    assert not streams[:, 3, :, 1:].any()


@pytest.mark.parametrize(("ci", "co"), [(512, 1000), (2048, 1000), (250, 960)])
def test_long_streams_start_in_different_parts_of_the_l1(ci: int, co: int) -> None:
    for streams in (2, 3, 4):
        length = pack(dense.Workload(1, ci, co), streams=streams)["weights"].shape[1]
        starts = [4 * length * s % 16384 for s in range(streams)]
        assert starts == [4096 * s for s in range(streams)]


def test_arrays_that_the_layer_does_not_have_are_refused() -> None:
    w = dense.Workload(1, 3, 4)
    with pytest.raises(InputError, match="shape"):
        dense.pack(w, KNOBS, {"bias": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match="slope"):
        dense.pack(w, KNOBS, {"slope": np.zeros(4, np.float32)})


def test_key_of_what_is_not_the_default() -> None:
    w = dense.Workload(2, 3, 4, "prelu", residual=True)
    assert w.shape_key == "n2_ci3_co4_prelu_res"
    assert w.arguments == ("x", "weights", "bias", "slope", "residual")
    assert dense.Workload.parse(w.shape_key) == w
