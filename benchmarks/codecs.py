"""Which codec for activations: size, speed of encoding and of decoding, on real ones, one thread.

Claim: for each layout, type and upsampling no candidate that is as small as the codec of a store (within 1 %) is faster in both
directions by more than a quarter. Run: python benchmarks/codecs.py CHECKPOINT IMAGES [--images 3] [--timesteps 1,50,400]

A candidate encodes what a store does: chunks of one timestep and at most 16 MiB. CRC-32C follows every codec and is left out.
Size is a fraction of the raw bytes; speeds are GB of raw bytes a second, medians of three rounds that alternate the candidates.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
from numcodecs import Blosc, Zstd
from synthetic import machine

from tedm.extract import choose_arithmetic, compute, load_backbone, read_manifest, square_image
from tedm.store import FeatureSettings, Storage
from tedm.store.layout import stored, upsampled_array
from tedm.store.skeleton import CHUNK_BYTES, compressors

CANDIDATES: dict[str, Any] = {
    "none": None,
    "zstd 1": Zstd(1),
    "zstd 3": Zstd(3),
    "zstd 5": Zstd(5),
    "lz4": Blosc("lz4", 5, Blosc.NOSHUFFLE),
    "shuffle lz4": Blosc("lz4", 5, Blosc.SHUFFLE),
    "shuffle zstd 1": Blosc("zstd", 1, Blosc.SHUFFLE),
    "shuffle zstd 3": Blosc("zstd", 3, Blosc.SHUFFLE),
    "shuffle zstd 5": Blosc("zstd", 5, Blosc.SHUFFLE),
    "bitshuffle zstd 1": Blosc("zstd", 1, Blosc.BITSHUFFLE),
}
KINDS = [("native", "nearest"), ("upsampled", "nearest"), ("upsampled", "bilinear")]
ROUNDS = 3


def main() -> None:
    """Measure and print, as a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--images", dest="count", type=int, default=3)
    parser.add_argument("--timesteps", type=lambda text: tuple(map(int, text.split(","))), default=(1, 50, 400))
    asked = parser.parse_args()
    numcodecs.blosc.use_threads = False
    cells = activations(asked.checkpoint, asked.images, asked.count, asked.timesteps)
    print(f"activations of {asked.count} images x timesteps {asked.timesteps}; {machine(1)}\n")
    print("| layout, upsampling | type | codec | size | encode GB/s | decode GB/s |\n|---|---|---|---|---|---|")
    beaten = []
    for layout, upsampling in KINDS:
        for dtype in ("float16", "float32"):
            figures = measured(chunks(cells, layout, upsampling, dtype))
            ours = name_of(compressors(Storage(layout, dtype), upsampling))
            size, encode, decode = figures[ours]
            for name, (its_size, its_encode, its_decode) in figures.items():
                title = f"**{name}**" if name == ours else name
                speeds = f"{its_encode:.2f} | {its_decode:.2f}"
                print(f"| {layout}, {upsampling} | {dtype} | {title} | {its_size:.3f} | {speeds} |")
                if its_size < 1.01 * size and its_encode > 1.25 * encode and its_decode > 1.25 * decode:
                    beaten.append(f"{layout} {upsampling} {dtype}: {name} beats {ours}")
    print(
        f"\nclaim: none as small as the chosen codec is faster in both directions by a quarter\nfigure: {beaten or 'none does'}"
    )


def name_of(codecs: list[Any]) -> str:
    """The candidate that a store's codecs are."""
    if not codecs:
        return "none"
    (codec,) = codecs
    packing = codec.to_dict()["configuration"]
    return f"{packing['shuffle']} {packing['cname']}" if "cname" in packing else f"zstd {packing['level']}"


def activations(checkpoint: Path, images: Path, count: int, timesteps: tuple[int, ...]) -> list[list[np.ndarray]]:
    """Native cells of some images, float32."""
    backbone, manifest = load_backbone(checkpoint), read_manifest(images)
    settings = FeatureSettings(
        checkpoint_sha256=backbone.sha256,
        levels=backbone.levels,
        image_size=backbone.image_size,
        image_channels=backbone.image_channels,
        geometry="pad",
        input_range=backbone.training_range,
        intensity_range=None,
        upsampling="nearest",
        noise="per-image",
        noise_seed=0,
        timesteps=timesteps,
        draws=1,
    )
    entries = manifest.entries[:: max(1, len(manifest.entries) // count)][:count]
    squares = ((entry.name, square_image(entry, settings)) for entry in entries)
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1)
    return [computed.cells for computed in compute(backbone, settings, arithmetic, squares)]


def chunks(cells: list[list[np.ndarray]], layout: str, upsampling: str, dtype: str) -> list[np.ndarray]:
    """What a store would hand to its codec, chunk by chunk."""
    found = []
    for levels in cells:
        size = levels[-1].shape[2]
        arrays = levels if layout == "native" else [upsampled_array(list(levels), size, upsampling, np.float32)]
        for array in arrays:
            for timestep in stored(array, dtype)[:, 0]:
                rows = timestep.shape[0]
                while rows % 2 == 0 and rows * timestep[0].nbytes > CHUNK_BYTES:
                    rows //= 2
                found += [np.ascontiguousarray(timestep[row : row + rows]) for row in range(0, timestep.shape[0], rows)]
    return found


def measured(chunks: list[np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """Size and speeds of each candidate."""
    raw = sum(chunk.nbytes for chunk in chunks)
    sizes: dict[str, float] = {}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in CANDIDATES}
    for _ in range(ROUNDS):
        for name, codec in CANDIDATES.items():
            encoding = decoding = packed = 0.0
            for chunk in chunks:
                start = time.perf_counter()
                content = chunk.tobytes() if codec is None else codec.encode(chunk)
                middle = time.perf_counter()
                back = np.frombuffer(content, np.uint8).copy() if codec is None else codec.decode(content)
                decoding += time.perf_counter() - middle
                encoding += middle - start
                packed += len(content)
                if bytes(back) != chunk.tobytes():
                    raise SystemExit(f"{name} does not give back what it was given")
            sizes[name] = packed / raw
            times[name].append((encoding, decoding))
    return {
        name: (sizes[name], raw / 1e9 / float(np.median([t[0] for t in of])), raw / 1e9 / float(np.median([t[1] for t in of])))
        for name, of in times.items()
    }


if __name__ == "__main__":
    main()
