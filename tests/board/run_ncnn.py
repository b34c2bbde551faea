"""Runs ncnn's networks once each, with empty weights, on one thread; for the board's own Python.

Each network is the region of its place among the arguments. It is measured in its first run: a
warmed-up second one takes the same to 0.1 %, since a network moves far more data than caches hold.
"""

import os
import sys
from pathlib import Path

import ncnn
import region


def input_shape(param: str) -> list[int]:
    """Width, height, channels: parameters 0, 1, 2 of the Input layer."""
    with Path(param).open() as file:
        line = next(line for line in file if line.startswith("Input"))
    given = dict(word.split("=") for word in line.split()[4:] if "=" in word)
    return [int(given[name]) for name in "012"]


for number, param in enumerate(sys.argv[1:]):
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.load_param(param)
    net.load_model(ncnn.DataReaderFromEmpty())
    picture = ncnn.Mat(*input_shape(param))
    picture.fill(0.01)
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], picture)
    region.flush()
    with region.measured(number):
        code, _ = extractor.extract(net.output_names()[0])
    if code != 0:
        sys.exit(f"{param}: ncnn's code {code}")

sys.stdout.flush()
os._exit(0)  # ncnn's own way out of Python ends with a segmentation fault
