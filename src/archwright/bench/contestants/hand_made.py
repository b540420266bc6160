"""A convolutional network as a user writes it by hand, trained for a given time, then tested.

python hand_made.py DATA.npz SECONDS [--threads 1] [--width 0.5] [--seed 0] [--no-flip]

DATA.npz holds x_train, y_train, x_test and y_test: images (n, H, W) or (n, H, W, C) of bytes, and class
numbers. The design follows airbench (Jordan 2024, arXiv 2404.00498): a fixed whitening convolution, three
groups that pool before they normalise, a global maximum, and a triangular learning rate.
"""

from __future__ import annotations

import time

BEGUN = time.time()

import argparse  # noqa: E402
import json  # noqa: E402
from itertools import pairwise  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

WIDTHS = (64, 256, 256)
BATCH, PEAK, FINAL_RATE, WARM_UP = 256, 0.3, 1e-4, 0.2
MOMENTUM, DECAY, SMOOTHING, SCALE = 0.9, 5e-4, 0.1, 9.0
SHIFT = 2
WHITENED = 5000
CHUNK = 500


def read(path: str) -> dict[str, torch.Tensor]:
    """Read the images, standardised by channel in channels-last layout, and the classes."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    found = {name: torch.from_numpy(arrays[name].astype(np.int64)).ravel() for name in ("y_train", "y_test")}
    for name in ("x_train", "x_test"):
        pixels = torch.from_numpy(arrays[name].astype(np.float32) / 255)
        found[name] = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    std, mean = torch.std_mean(found["x_train"], dim=(0, 2, 3), keepdim=True)
    for name in ("x_train", "x_test"):
        scaled = (found[name] - mean) / std.clamp_min(1e-6)
        found[name] = scaled.contiguous(memory_format=torch.channels_last)
    return found


def whitening(x: torch.Tensor) -> nn.Conv2d:
    """Make a fixed convolution whose outputs are uncorrelated on 2x2 patches, each with both signs."""
    channels = x.shape[1]
    patches = F.unfold(x.contiguous(), 2).transpose(1, 2).flatten(0, 1)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(-1, channels, 2, 2)
    layer = nn.Conv2d(channels, 2 * len(filters), 2, bias=False)
    layer.weight.data.copy_(torch.cat([filters, -filters]))
    return layer.requires_grad_(False)


class Group(nn.Module):
    """Two 3x3 convolutions, the first followed by pooling if the map has two pixels a side or more."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.stay = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        for layer in (self.enter, self.stay):
            nn.init.dirac_(layer.weight.data[: layer.in_channels])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Halve the map and change its channels."""
        x = self.enter(x)
        if min(x.shape[2:]) > 1:
            x = F.max_pool2d(x, 2)
        x = F.gelu(self.norms[0](x))
        return F.gelu(self.norms[1](self.stay(x)))


class Network(nn.Module):
    """Whitening, three groups, a global maximum and a linear layer."""

    def __init__(self, x: torch.Tensor, classes: int, width: float) -> None:
        super().__init__()
        self.stem = whitening(x)
        widths = [self.stem.out_channels, *(max(8, round(width * one)) for one in WIDTHS)]
        self.groups = nn.Sequential(*(Group(*pair) for pair in pairwise(widths)))
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.head(self.groups(F.gelu(self.stem(x))).amax((2, 3))) / SCALE
        return logits


def outputs(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Compute the logits of all rows."""
    network.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = torch.cat([network(part).float() for part in torch.split(x, CHUNK)])
    network.train()
    return found


def shifted(x: torch.Tensor, rng: np.random.Generator, flip: bool) -> torch.Tensor:
    """Shift a batch by up to two pixels, reflected at the border, and mirror half of it."""
    side, other = x.shape[2:]
    x = F.pad(x, (SHIFT,) * 4, mode="reflect")
    down, right = rng.integers(0, 2 * SHIFT + 1, 2)
    x = x[:, :, down : down + side, right : right + other]
    if flip:
        mirrored = torch.from_numpy(rng.random(len(x)) < 0.5)
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return x.contiguous(memory_format=torch.channels_last)


def train(network: Network, data: dict[str, torch.Tensor], until: float, seed: int, flip: bool) -> int:
    """Train until a moment and return the number of epochs begun."""
    x, y, rng = data["x_train"], data["y_train"], np.random.default_rng(seed)
    trained = [weights for weights in network.parameters() if weights.requires_grad]
    groups = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": DECAY},
        {"params": [one for one in trained if one.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=PEAK, momentum=MOMENTUM, nesterov=True)
    size, begun, epochs = min(BATCH, len(x)), time.time(), 0
    while time.time() < until:
        order, epochs = torch.from_numpy(rng.permutation(len(x))), epochs + 1
        for rows in torch.split(order[: len(x) // size * size], size):
            done = (time.time() - begun) / (until - begun)
            if done >= 1:
                break
            rate = PEAK * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))
            for group in optimizer.param_groups:
                group["lr"] = max(FINAL_RATE, rate)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(shifted(x[rows], rng, flip))
            loss = F.cross_entropy(logits.float(), y[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return epochs


def main() -> None:
    """Read, train, test and print the answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help=".npz file")
    parser.add_argument("seconds", type=float, help="time for everything, loading and test included")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=float, default=0.5, help="factor of the widths")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)  # noqa: TID251
    data = read(given.data)
    classes = int(data["y_train"].max()) + 1
    network = Network(data["x_train"][:WHITENED], classes, given.width)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x, y = data["x_test"], data["y_test"]
    outputs(network, x[:CHUNK])
    timed = time.time()
    outputs(network, x[:CHUNK])
    test = (time.time() - timed) * len(x) / min(CHUNK, len(x))
    until = BEGUN + given.seconds - 1.3 * test - 0.5 - 0.01 * given.seconds
    epochs = train(network, data, until, given.seed, given.flip)
    accuracy = (outputs(network, x).argmax(1) == y).float().mean().item()
    answer = {
        "accuracy": accuracy,
        "rows": len(data["x_train"]),
        "test_rows": len(x),
        "epochs": epochs,
        "parameters": sum(weights.numel() for weights in network.parameters()),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
