"""Claim: a step on random pixels takes at most 0.6 of the CPU time of plain PyTorch's, one thread each.

    python benchmarks/mlp_pixels.py FOLDER [--threads 1] [--rounds 5] [--images 6] [--precision auto]

Three shapes on activations of a backbone for 64 x 64 pixels (224 channels at three sides): TEDM (512 pixels, each a row at
eight timesteps, one member), LEDMe and LEDM (64 pixels for each of ten members, eight or three timesteps side by side). The
other side has all rows in memory as float32, upsampled, a pixel's side by side, before the clock starts; its network is
`nn.Sequential` with `BatchNorm1d` and fused Adam, one for each member. Ours has the cells of the images in memory (whatever the
layout on the disk), and gathers and converts them in the measured time. A step's time is what a longer fit takes beyond a
shorter one, in CPU seconds of the process; rounds alternate, and ratios are those of medians. What the first layer's two
products alone take in float32 is printed beside them: in float32 no step is faster.
FOLDER keeps the store.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from synthetic import machine, make_store
from torch import Tensor, nn

from tedm.devices import choose_precision
from tedm.heads import MLPHead, RowLayout, TrainingData, hidden_sizes
from tedm.store import FeatureStore

MOST = 0.6
SHORT, LONG = 30, 130


@dataclass(frozen=True)
class Shape:
    """What the steps of a method are on."""

    timesteps: tuple[int, ...]
    rows: RowLayout
    members: int
    pixels: int


EIGHT = (1, 10, 25, 50, 200, 400, 600, 800)
METHODS = {
    "TEDM": Shape(EIGHT, "share", 1, 512),
    "LEDMe": Shape(EIGHT, "concatenate", 10, 64),
    "LEDM": Shape((50, 200, 400), "concatenate", 10, 64),  # which three makes no difference
}


def main() -> None:
    """All shapes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=6, help="that pixels are drawn from")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of our first layer's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(__doc__.splitlines()[0])
    print(f"{machine(options.threads)}; the first layer in {choose_precision(options.precision, 'cpu', 'products')}")
    store = make_store(options.folder / f"xray-{options.images}", "xray", options.images + 2)
    failed = [name for name, shape in METHODS.items() if _ratio(name, shape, store, options) > MOST]
    print("the claim holds" if not failed else f"the claim FAILS for {', '.join(failed)}")
    raise SystemExit(bool(failed))


def _ratio(name: str, shape: Shape, store: FeatureStore, options: argparse.Namespace) -> float:
    """Time of a step of ours over that of one of the other side's."""
    data = TrainingData(store, store.labels.names[: options.images], rows=shape.rows, timesteps=shape.timesteps)
    plain = _plain(shape, data)
    plain(5), _ours(shape, data, 5, options.precision)
    took: dict[str, list[float]] = {"ours": [], "plain": [], "products": []}
    for _ in range(options.rounds):
        took["ours"].append(_ours(shape, data, LONG, options.precision) - _ours(shape, data, SHORT, options.precision))
        took["plain"].append(plain(LONG - SHORT))
        took["products"].append(_products(shape, data, LONG - SHORT))
    each = {side: np.median(seconds) / (LONG - SHORT) * 1e3 for side, seconds in took.items()}
    ratio = float(each["ours"] / each["plain"])
    print(
        f"{name}: {shape.members} x {shape.pixels} pixels, rows of {data.n_features}: a step in {each['ours']:.1f} ms of CPU, "
        f"plain PyTorch {each['plain']:.1f} ms: {ratio:.2f} (the first layer's products alone, in float32, "
        f"{each['products']:.1f} ms, {each['products'] / each['plain']:.2f})"
    )
    return ratio


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _ours(shape: Shape, data: TrainingData, iterations: int, precision: str) -> float:
    head = MLPHead(shape.members, pixels_per_batch=shape.pixels, iterations=iterations, precision=precision)
    return _seconds(lambda: head.fit_blocks(data))


def _plain(shape: Shape, data: TrainingData) -> Callable[[int], float]:
    """Make what trains for so many steps and returns the CPU seconds."""
    pixels, labels = [], []
    for labelled in data:
        upsampled = labelled.block.at_image_resolution()[:, 0]  # timesteps, y, x, channels
        by_pixel = np.ascontiguousarray(np.moveaxis(upsampled, 0, 2), np.float32)
        pixels.append(by_pixel.reshape(-1, len(shape.timesteps), by_pixel.shape[-1]))
        labels.append(labelled.mask.ravel().astype(np.int64))
    x, y = torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels))
    widths = [data.n_features, *hidden_sizes(len(data.classes))]
    networks = []
    for _ in range(shape.members):
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.BatchNorm1d(fan_out)]
        networks.append(nn.Sequential(*layers, nn.Linear(widths[-1], len(data.classes))))
    optimisers = [torch.optim.Adam(network.parameters(), lr=1e-3, fused=True) for network in networks]

    def step(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        chosen = torch.randint(len(x), (shape.pixels,))
        rows, its_labels = x[chosen].view(-1, data.n_features), y[chosen]
        loss = nn.functional.cross_entropy(network(rows), its_labels.repeat_interleave(len(rows) // len(its_labels)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def train(iterations: int) -> float:
        return _seconds(lambda: [step(*both) for _ in range(iterations) for both in zip(networks, optimisers, strict=True)])

    return train


def _products(shape: Shape, data: TrainingData, iterations: int) -> float:
    """CPU seconds of the first layer's product and that of its weights' gradient."""
    rows = shape.pixels * (len(shape.timesteps) if shape.rows == "share" else 1)
    width = hidden_sizes(len(data.classes))[0]
    x = torch.randn(shape.members, rows, data.n_features)
    weight, gradient = torch.randn(shape.members, data.n_features, width), torch.randn(shape.members, rows, width)
    out: tuple[Tensor, Tensor] = (torch.empty_like(gradient), torch.empty_like(weight))

    def both() -> None:
        torch.bmm(x, weight, out=out[0])
        torch.bmm(x.mT, gradient, out=out[1])

    both()
    return _seconds(lambda: [both() for _ in range(iterations)])


if __name__ == "__main__":
    main()
