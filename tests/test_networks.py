"""The networks: as large as published, with as many layers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_ops.errors import InputError
from tvm_ops.networks import FLOAT, KINDS, NETWORKS, all_layers, kind, layers
from tvm_ops.operators._dense import DenseWorkload, dense_data, dense_reference
from tvm_ops.operators._epilogue import ACTIVATIONS

# Multiply-adds: He et al. table 1 (ResNet-50: torchvision's 4.09 G, of version 1.5), Howard et al.
# 2017 table 8, Sandler et al. table 4, Howard et al. 2019 table 3; torchvision's of the last three.
# Then layers of each kind.
PUBLISHED = {
    "resnet18": (1.8e9, (13, 3, 4, 0, 1)),
    "resnet50": (4.1e9, (13, 36, 4, 0, 1)),
    "mobilenet_v1": (569e6, (0, 13, 1, 13, 1)),
    "mobilenet_v2": (300e6, (0, 34, 1, 17, 1)),
    "mobilenet_v3_large": (219e6, (0, 30, 1, 15, 18)),
    "alexnet": (714e6, (4, 0, 1, 0, 3)),
    "vgg11": (7.61e9, (8, 0, 0, 0, 3)),
    "squeezenet": (0.82e9, (8, 17, 1, 0, 0)),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_are_as_published(network):
    macs, counts = PUBLISHED[network]
    found = layers(network)
    assert sum(layer.count * layer.workload.macs for layer in found) == pytest.approx(
        macs, rel=0.02
    )
    of_kind = Counter({name: 0 for name in KINDS})
    for layer in found:
        of_kind[kind(layer)] += layer.count
    assert tuple(of_kind[name] for name in KINDS) == counts


@pytest.mark.parametrize(
    ("network", "key", "count"),
    [
        ("resnet18", "conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32", 2),
        ("resnet18", "conv2d-n1_ci64_h56_w56_co64_k3_s1_p1_none-f32", 2),
        ("resnet50", "conv2d-n1_ci128_h56_w56_co128_k3_s2_p1-f32", 1),
        ("resnet50", "conv2d-n1_ci256_h56_w56_co512_k1_s2_p0_none-f32", 1),
        ("mobilenet_v1", "depthwise_conv2d-n1_ci512_h14_w14_co512_k3_s1_p1_g512_relu6-f32", 5),
        ("mobilenet_v2", "conv2d-n1_ci320_h7_w7_co1280_k1_s1_p0_relu6-f32", 1),
        ("mobilenet_v3_large", "depthwise_conv2d-n1_ci960_h7_w7_co960_k5_s1_p2_g960_hswish-f32", 2),
        ("mobilenet_v3_large", "dense-n1_ci72_co24-f32", 1),
        ("mobilenet_v3_large", "dense-n1_ci960_co1280_hswish-f32", 1),
    ],
)  # fmt: skip
def test_known_layers(network, key, count):
    assert {layer.key: layer.count for layer in layers(network)}[key] == count


def test_all_layers_are_different_and_know_their_networks():
    found = all_layers()
    assert len({layer.key for layer in found}) == len(found)
    assert {layer.key for layer in found} == {x.key for name in FLOAT for x in layers(name)}
    stem = next(x for x in found if x.key == "conv2d-n1_ci3_h224_w224_co32_k3_s2_p1_relu6-f32")
    assert (stem.count, stem.networks) == (2, ("mobilenet_v1", "mobilenet_v2"))


def test_unknown_network():
    with pytest.raises(InputError, match="unknown network 'vgg16'; known: resnet18, resnet50"):
        layers("vgg16")


sizes = st.integers(1, 4096)


@given(st.builds(DenseWorkload, sizes, sizes, sizes, st.sampled_from(ACTIVATIONS)))
def test_a_dense_layers_key_says_all(workload):
    assert DenseWorkload.parse(workload.shape_key) == workload


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n1_ci8", "co missing"),
        ("n1_ci8_co8_co8", "'co' is given twice"),
        ("n1_ci8_co8_tanh", "'tanh' is no field of a dense layer's key"),
        ("n1_ci0_co8", "at least 1"),
        ("n1_ci65537_co8", "above 65536"),
        ("n1_ci65536_co65536", "too large"),
    ],
)
def test_bad_dense_keys(text, message):
    with pytest.raises(InputError, match=message):
        DenseWorkload.parse(text)


def test_dense_reference_by_hand():
    workload = DenseWorkload(1, 2, 3)
    arrays = {
        "x": np.array([[1, 2]], np.float32),
        "weights": np.array([[1, 1], [0, -1], [2, 0]], np.float32),
        "bias": np.array([0, 1, -1], np.float32),
    }
    assert dense_reference(workload, arrays).tolist() == [[3, 0, 1]]
    data = dense_data(DenseWorkload(2, 5, 7))
    assert {name: array.shape for name, array in data.items()} == {
        "x": (2, 5), "weights": (7, 5), "bias": (7,),
    }  # fmt: skip
