#!/usr/bin/env python3
"""Trains the networks of examples/binary_digits and writes their parameters there.

    python3 -m venv build/train
    build/train/bin/pip install -e '.[train]'
    build/train/bin/python scripts/train_binary_digits.py

Takes half a minute on a free core for each of the two. It ends with an error if a network has less
than 98 % on the test set, or if numpy does not give PyTorch's own bits for every image.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examples.binary_digits.network import PLANS
from examples.binary_digits.training import load_digits, train_and_save

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

digits = load_digits()
for plan in PLANS:
    started = time.monotonic()
    accuracy = train_and_save(plan, digits, options.epochs, options.seed)
    print(f"{plan.name}: {accuracy:.2%} on the test set, {time.monotonic() - started:.0f} s")
