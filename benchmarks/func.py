"""Per-sample gradients, mezzo against PyTorch: `python benchmarks/func.py [--threads 1 2] [--json out.json]`.

vmap(grad(loss)) of a convolutional network of a million parameters on a batch of 64. Both libraries in alternation
in one process, medians of nine samples, threads fixed. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
import torch

import mezzo
from mezzo.cli.benchmark.timing import alternate, text

BATCH = 64


def mnist_network(nn):
    """1.2M parameters on 28x28: the example network of PyTorch's per-sample gradients page, with 3x3 windows throughout."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def deep_network(nn):
    """1.0M parameters on 32x32: most of the work in convolutions, and most of the weights too."""
    layers, have = [], 3
    for width, pool in ((64, True), (128, True), (256, True), (256, False)):
        layers += [nn.Conv2d(have, width, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
        have = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 16, 10))


NETWORKS = {"mnist": (mnist_network, (1, 28, 28)), "deep": (deep_network, (3, 32, 32))}


def per_sample(lib, model, images, labels) -> Callable:
    """A call that gives the gradient of every parameter for every example."""
    weights = {n: p.detach() for n, p in model.named_parameters()}

    def loss(values, image, label):
        logits = lib.func.functional_call(model, values, (image.unsqueeze(0),))
        return lib.nn.functional.cross_entropy(logits, label.unsqueeze(0))

    both = lib.func.vmap(lib.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: both(weights, images, labels)


def pair(name: str) -> tuple[Callable, Callable]:
    """The same work in both libraries, on the same weights and data."""
    network, shape = NETWORKS[name]
    ours, theirs = network(mezzo.nn), network(torch.nn)
    ours.load_state_dict({n: mezzo.tensor(p.numpy()) for n, p in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    images = rng.standard_normal((BATCH, *shape)).astype("f4")
    labels = rng.integers(0, 10, BATCH)
    return (per_sample(mezzo, ours, mezzo.tensor(images), mezzo.tensor(labels)),
            per_sample(torch, theirs, torch.tensor(images), torch.tensor(labels)))  # fmt: skip


def main() -> None:
    """Print the table; save it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--samples", type=int, default=9)
    parser.add_argument("--json")
    options = parser.parse_args()
    found = []
    print("| per-sample gradients | threads | mezzo | PyTorch | ratio |\n|---|---|---|---|---|")
    for name in NETWORKS:
        ours, theirs = pair(name)
        for key, value in theirs().items():
            np.testing.assert_allclose(ours()[key].numpy(), value.numpy(), rtol=1e-2, atol=1e-4)
        for threads in options.threads:
            mezzo.set_num_threads(threads)
            torch.set_num_threads(threads)
            (a, b), (_, ratio) = alternate([ours, theirs], options.samples)
            found.append({"work": name, "threads": threads, "mezzo_s": a, "torch_s": b, "ratio": ratio})  # fmt: skip
            print(f"| {name} | {threads} | {text(a)} | {text(b)} | {ratio:.2f} |", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
