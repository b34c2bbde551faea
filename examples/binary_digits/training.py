"""Training of the two networks with PyTorch, on a CPU, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional

from examples.binary_digits.modules import Network, as_kernels_have_it, parameters
from examples.binary_digits.network import FOLDER, Array, Plan, digest, forward, load, save

DEMANDED = 0.98  # of the test set
LEARNING_RATE = 0.004
BATCH = 64


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each moved by -1, 0 or +1 pixels in both directions, zeros following."""
    padded = functional.pad(images, (1, 1, 1, 1))
    moves = torch.randint(0, 9, (len(images),), generator=generator)
    moves[torch.rand(len(images), generator=generator) < 0.5] = 4
    views = torch.stack([padded[:, r : r + 8, c : c + 8] for r in range(3) for c in range(3)])
    return views[moves, torch.arange(len(images))]


def batches(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Whole batches of shuffled indices; a small last one would upset the statistics."""
    order = torch.randperm(count, generator=generator)
    return iter(order[: count - count % BATCH].view(-1, BATCH))


def train(plan: Plan, images: Array, labels: Array, epochs: int, seed: int) -> Network:
    """``images`` [n, 8, 8] of 0 .. 16. The same seed and machine give the same network."""
    torch.set_num_threads(1)  # the order of sums, and so the last bits, depend on it
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Network(plan)
    x, target = torch.from_numpy(images).float(), torch.from_numpy(labels).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for chosen in batches(len(x), generator):
            logits = network(shifted(x[chosen], generator))["logits"]
            loss = functional.cross_entropy(logits, target[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():  # beyond 1 the estimator has no gradient to come back by
                for w in [*network.weights, network.dense]:
                    w.clamp_(-1, 1)
        schedule.step()
    return network.eval()


class Digits(NamedTuple):
    """Images uint8[n, 8, 8] of 0 .. 16 and labels uint8[n]: to train with, and held out."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array


def load_digits() -> Digits:
    """scikit-learn's digits, a quarter of each class held out; the same in each run."""
    data = datasets.load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    parts = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return Digits(parts[0], parts[2], parts[1], parts[3])


@torch.no_grad()
def train_and_save(plan: Plan, digits: Digits, epochs: int, seed: int) -> float:
    """Trains, saves parameters, test set and digests of what PyTorch computes; the accuracy.

    Raises ``RuntimeError`` if that is below 98 %, or if numpy with the saved parameters differs in
    a bit from PyTorch, in any layer on any image.
    """
    with torch.enable_grad():
        network = train(plan, digits.images, digits.labels, epochs, seed)
    trained = as_kernels_have_it(network(torch.from_numpy(digits.test_images).float()))
    right = int((trained["logits"].argmax(axis=1) == digits.test_labels).sum())
    if right < DEMANDED * len(digits.test_labels):
        raise RuntimeError(f"{plan.name}: {right} of {len(digits.test_labels)} are right")
    save(plan, parameters(network))
    for images in (digits.images, digits.test_images):
        trained = as_kernels_have_it(network(torch.from_numpy(images).float()))
        again = forward(plan, load(plan), images)
        for name, array in trained.items():
            if array.dtype != again[name].dtype or array.tobytes() != again[name].tobytes():
                raise RuntimeError(f"{plan.name}: numpy's {name} are not PyTorch's")
    np.savez_compressed(
        FOLDER / "test_set.npz", images=digits.test_images, labels=digits.test_labels
    )
    digests = {name: digest(array) for name, array in trained.items()}
    expected = {"right": right, "of": len(digits.test_labels), "sha256": digests}
    (FOLDER / f"{plan.name}.json").write_text(json.dumps(expected, indent=2) + "\n")
    return right / len(digits.test_labels)
