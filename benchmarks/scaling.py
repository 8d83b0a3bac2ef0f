"""What 100, 10,000 and 1,000,000 images take: the numbers of docs/scaling.md.

    python benchmarks/scaling.py [--measure FOLDER] [--tera 100] [--write 1.5]

Without --measure nothing is run: bytes and files follow from the settings of a store (TEDM's UNet of width 64, four levels,
eight timesteps, float16), hours of a GPU from the operations of the network, which torch counts on tensors without memory,
and from the assumed TERA operations (10^12) a second and WRITE GB written a second. --measure fits and predicts with each
head on a small store in FOLDER and prints core-seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from synthetic import SHAPES, machine, make_store
from torch.utils.flop_counter import FlopCounterMode

from tedm.networks.tedm_unet import TedmUNet
from tedm.store import FeatureSettings, Level, Storage
from tedm.store.skeleton import feature_arrays, label_arrays, skeleton
from tedm.store.sources import COLUMN

IMAGES = (100, 10_000, 1_000_000)
SIZES = (128, 256, 512)
ZSTD = 0.235  # of upsampled activations, by docs/design.md, "Codecs"
KEYS_OF_LISTING = 1000  # keys in an answer of an object store to a listing
HEADS = {"logistic": 20, "mlp": 100, "xgboost": 4}  # iterations that are measured


def settings_of(size: int) -> FeatureSettings:
    """Return those of a store with TEDM's defaults at an image size."""
    levels, _, timesteps, *_ = SHAPES["tedm"]
    return FeatureSettings(
        checkpoint_sha256="00" * 32,
        levels=tuple(Level(f"level{number}", *of) for number, of in enumerate(levels)),
        image_size=size,
        image_channels=1,
        geometry="pad",
        input_range=(-1.0, 1.0),
        intensity_range=None,
        upsampling="nearest",
        noise="per-image",
        noise_seed=0,
        timesteps=timesteps,
        draws=1,
    )


def bytes_of_image(settings: FeatureSettings, storage: Storage) -> int:
    """Return the bytes of an image's activations on a disk."""
    side = settings.image_size
    cells = sum(level.channels * settings.side(level) ** 2 for level in settings.levels)
    numbers = cells if storage.layout == "native" else ZSTD * side**2 * settings.channels
    return round(2 * numbers * len(settings.timesteps) * settings.draws)


def files_of_store(settings: FeatureSettings, storage: Storage) -> tuple[int, int]:
    """Return the files of each image, and those of the whole store beside them."""
    of_image = len(feature_arrays(settings, storage)) + 2  # the square and its mask
    columns = [*label_arrays(settings), COLUMN]  # a file each, up to 65536 images
    return of_image, len(skeleton(settings, storage, {})) + len(columns)


def operations(size: int) -> float:
    """Return floating-point operations of one entry, up to the last tap."""
    with torch.device("meta"):
        network = TedmUNet(width=64, multipliers=(1, 2, 4, 8), image_channels=1).eval()
        x_t, steps = torch.empty(1, 1, size, size), torch.zeros(1, dtype=torch.int64)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network(x_t, steps)
    return float(counter.get_total_flops())


def measured(folder: Path) -> None:
    """Print core-seconds of each head on six images of 64 pixels: of an iteration, and of one image's prediction."""
    from tedm.heads import fit, method_named

    store, names = make_store(folder / "scaling", "tedm", 8, size=64), [f"image {number:03}" for number in range(6, 8)]
    print(f"\n{machine(torch.get_num_threads())}; 6 training images of 64 x 64 pixels, shared rows at eight timesteps\n")
    print("| head | core-s an iteration | core-s of a fit's beginning | core-s of a predicted image |")
    print("|---|--:|--:|--:|")
    for head, iterations in HEADS.items():
        try:
            fits = []
            for many in (iterations // 4, iterations):
                since = time.process_time()
                fitted = fit(store, method_named("tedm", head=head), iterations=many)
                fits.append((many, time.process_time() - since))
        except Exception as error:
            print(f"| {head} | {str(error).splitlines()[0]} | | |")
            continue
        since = time.process_time()
        for name in names:
            fitted.probabilities(store.block(name))
        predicted = (time.process_time() - since) / len(names)
        each = (fits[1][1] - fits[0][1]) / (fits[1][0] - fits[0][0])
        print(f"| {head} | {each:.3f} | {max(0.0, fits[0][1] - each * fits[0][0]):.1f} | {predicted:.3f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, default=None, metavar="FOLDER")
    parser.add_argument("--tera", type=float, default=100.0, help="assumed of a GPU: 10^12 operations a second in bfloat16")
    parser.add_argument("--write", type=float, default=1.5, help="assumed of packing and disk: GB of a store a second")
    asked = parser.parse_args()
    print("| pixels | layout | an image | 100 | 10,000 | 1,000,000 | files an image + others |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for size in SIZES:
        for layout in ("native", "upsampled"):
            settings, storage = settings_of(size), Storage(layout, "float16")  # type: ignore[arg-type]
            each = bytes_of_image(settings, storage)
            of_image, others = files_of_store(settings, storage)
            totals = " | ".join(_bytes(each * images) for images in IMAGES)
            print(f"| {size} | {layout} | {_bytes(each)} | {totals} | {of_image} + {others} |")
    print(
        f"\n| pixels | 10^9 operations an image | images/s at {asked.tera:g} T | hours: 100 | 10,000 | 1,000,000 | "
        f"hours to write 1,000,000 at {asked.write:g} GB/s: native | upsampled |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for size in SIZES:
        settings = settings_of(size)
        each = operations(size) * len(settings.timesteps)
        rate = asked.tera * 1e12 / each
        hours = " | ".join(f"{images / rate / 3600:.3g}" for images in IMAGES)
        writing = " | ".join(
            f"{IMAGES[-1] * bytes_of_image(settings, Storage(layout, 'float16')) / asked.write / 1e9 / 3600:.3g}"  # type: ignore[arg-type]
            for layout in ("native", "upsampled")
        )
        print(f"| {size} | {each / 1e9:.0f} | {rate:.1f} | {hours} | {writing} |")
    print("\n| images | PUT: native | PUT: upsampled | LIST to go on | GET of a pass over all: native | upsampled |")
    print("|---|--:|--:|--:|--:|--:|")
    for images in IMAGES:
        settings = settings_of(128)
        arrays = {layout: feature_arrays(settings, Storage(layout, "float16")) for layout in ("native", "upsampled")}  # type: ignore[arg-type]
        put = {layout: images * (len(names) + 2) for layout, names in arrays.items()}
        listed = max(1, images // KEYS_OF_LISTING) * (len(arrays["native"]) + 2)
        gets = " | ".join(f"{images * len(arrays[layout]):,}" for layout in arrays)
        print(f"| {images:,} | {put['native']:,} | {put['upsampled']:,} | {listed:,} | {gets} |")
    if asked.measure is not None:
        measured(asked.measure)


def _bytes(number: float) -> str:
    for unit, of in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= of:
            return f"{number / of:.3g} {unit}"
    return f"{number:.0f} B"


if __name__ == "__main__":
    main()
