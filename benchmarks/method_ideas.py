"""Question: what do ideas that change features, or what becomes of votes, add to the MLPs of the default, on development data?

    python benchmarks/method_ideas.py SHARED OUT [--only IDEA ...] [--sizes 1 6] [--seeds 0 1 2 3 4]
    python benchmarks/method_ideas.py SHARED OUT --table     # means, and gains on `as it is` seed by seed with 95 % intervals

Development data are those of method_search.py. `as it is` are the MLPs of `jury-fast` (ten members, timesteps 1 and 50 side by
side, eight views, classes drawn by the root of their pixels), without the network and without a rule for specks. Each idea
changes one thing. Dice of the foreground at the images' own resolution. A part (one fit, all that is made of its votes) is a
file in OUT/parts that is there whole or not at all: the same command goes on, and two of them share the work by --seeds.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from method_search import write_development
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from tedm.extract.images import from_square_probabilities
from tedm.heads import Segmenter, fit, method_named, score, vote
from tedm.store import Block, FeatureStore
from tedm.study.masks.edges import RADIUS, guided_mask

Array = NDArray[np.float32]
BASE, MARGIN, ITERATIONS = "as it is", 0.125, (250, 500, 1000, 2000)
MIXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Stores that are extracted: the manifest of each, and its options.
STORES: dict[str, tuple[str, list[str]]] = {
    "plain": ("plain.csv", ["--timesteps", "1,50", "--views", "8"]),
    "clean": ("plain.csv", ["--timesteps", "1,50", "--views", "8", "--noise", "none"]),
    "three": ("plain.csv", ["--timesteps", "1,25,50", "--views", "8"]),
    "again": ("plain.csv", ["--timesteps", "1,50", "--noise-seed", "1"]),
    "mirrored": ("mirrored.csv", ["--timesteps", "1,50", "--views", "8"]),
    "smaller": ("smaller.csv", ["--timesteps", "1,50"]),
}
# Stores that are made of others: what a fit learns from, and the ideas that are votes of that fit.
IDEAS: dict[str, list[str]] = {
    "plain": [
        BASE,
        "a second draw of noise at prediction",
        "mirrored at prediction",
        "smaller at prediction",
        "masks follow edges",
        "masks follow edges, windows of 2 pixels",
        "random walker",
    ],
    "pool": ["standardised by the training images", "mixed statistics of the image, by entropy"],
    "image": ["standardised by each image"],
    "domain": ["standardised by each domain"],
    "white": ["whitened"],
    "levels": ["levels weigh alike"],
    "clean": ["noise-free in place of noise"],
    "with-clean": ["a noise-free pass besides"],
    "mirrored": ["mirrored in training", "mirrored in training and at prediction"],
    "cv": ["iterations by cross-validation"],
}


def main() -> None:
    """Fit and score what is missing, or read what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(IDEAS), default=[name for name in IDEAS if name != "cv"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(options.out / "parts")))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    truths = Truths(options.out, options.shared.absolute())
    for n in options.sizes:
        for learned in options.only:
            for seed in options.seeds:
                part(truths, learned, n, seed)


class Truths:
    """The development images in OUT: their stores, pictures and masks."""

    def __init__(self, out: Path, shared: Path) -> None:
        self.out, self._checkpoint = out, shared / "checkpoints" / "nih64.pt"
        self._opened: dict[str, FeatureStore] = {}
        if not (out / "smaller.csv").exists():
            _write_manifests(out, shared / "data")
        with (out / "plain.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.domains = {row["name"]: row["domain"] for row in rows}
        self.scored = [row["name"] for row in rows if row["split"] == "val"]
        self.trained = [row["name"] for row in rows if row["split"] == "train"]
        self._files = {row["name"]: (row["image"], row["mask"]) for row in rows}

    def picture(self, name: str) -> Array:
        """Return an image of shape (height, width), in [0, 1]."""
        return np.asarray(Image.open(self._files[name][0]).convert("L"), np.float32) / 255

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Return its mask, 1 where it is foreground."""
        return (np.asarray(Image.open(self._files[name][1]).convert("L")) > 127).astype(np.uint8)

    def store(self, name: str) -> FeatureStore:
        """Open a store; extract or derive it first if it is not there."""
        path = self.out / "stores" / name
        if not path.exists():
            partial = path.with_name(f"{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            if name in STORES:
                manifest, extra = STORES[name]
                asked = [str(self.out / manifest), str(partial), "--checkpoint", str(self._checkpoint), "--layout", "native"]
                command = [sys.executable, "-m", "tedm", "extract", *asked, *extra, "--threads", "1", "--device", "cpu"]
                subprocess.run([*command, "--threshold", "128"], check=True)
            else:
                self._derive(name, partial)
            partial.rename(path)
        if name not in self._opened:
            self._opened[name] = FeatureStore.open(path)
        return self._opened[name]

    def blocks(self, store: str) -> Iterator[Block]:
        """Yield the scored images' blocks of a store, in the same order for every store."""
        return self.store(store).blocks(self.scored)

    def _derive(self, name: str, path: Path) -> None:
        source = "three" if name == "with-clean" else "plain"
        self.store(source)
        change = {
            "pool": self._by_pool,
            "image": self._by_image,
            "domain": self._by_domain,
            "white": self._white,
            "levels": self._levels,
            "with-clean": self._with_clean,
        }[name]()
        shutil.copytree(self.out / "stores" / source, path)
        for place in (path, path / "views"):
            group = zarr.open_group(place, mode="r+")
            names = [str(each) for each in np.asarray(group["name"])]
            for level in range(3):
                cells: Any = group[f"level{level}"]
                for at, each in enumerate(names):
                    cells[at] = change(each, level, np.asarray(cells[at], np.float32), place.name == "views")

    def of_pool(self, store: str = "plain") -> list[tuple[Array, Array]]:
        """Return mean and deviation of each level over the training images: shape (timesteps, 1, 1, 1, channels)."""
        return self._statistics(store, self.trained)

    def _statistics(self, store: str, names: Sequence[str]) -> list[tuple[Array, Array]]:
        blocks = list(self.store(store).blocks(names))
        return [moments(np.stack([block.cells[level] for block in blocks]).astype(np.float32)) for level in range(3)]

    def _by_pool(self) -> Change:
        pool = self.of_pool()
        return lambda name, level, cells, view: standardised(cells, *pool[level])

    def _by_image(self) -> Change:
        return lambda name, level, cells, view: standardised(cells, *moments(cells[None]))

    def _by_domain(self) -> Change:
        of = {
            domain: self._statistics("plain", [name for name in self.scored if self.domains[name] == domain])
            for domain in set(self.domains.values())
        }
        trained = self.of_pool()

        def change(name: str, level: int, cells: Array, view: bool) -> Array:
            known = trained if view or name in self.trained else of[self.domains[name]]
            return standardised(cells, *known[level])

        return change

    def _levels(self) -> Change:
        pool = self.of_pool()
        return lambda name, level, cells, view: standardised(cells, *pool[level]) * sqrt(32 / cells.shape[-1])

    def _white(self) -> Change:
        blocks = list(self.store("plain").blocks(self.trained))
        found = []
        for level in range(3):
            cells = np.stack([block.cells[level] for block in blocks]).astype(np.float64)
            of_level = []
            for at in range(cells.shape[1]):
                rows = cells[:, at].reshape(-1, cells.shape[-1])
                mean, covariance = rows.mean(axis=0), np.cov(rows, rowvar=False)
                values, vectors = np.linalg.eigh(covariance)
                # the smallest directions are noise: they are not blown up to the size of the others
                of_level.append((mean, vectors / np.sqrt(values + 1e-3 * values.mean()) @ vectors.T))
            found.append(of_level)

        def change(name: str, level: int, cells: Array, view: bool) -> Array:
            return np.stack([(each - mean) @ matrix for each, (mean, matrix) in zip(cells, found[level], strict=True)])

        return change

    def _with_clean(self) -> Change:
        self.store("clean")
        folders = {False: self.out / "stores" / "clean", True: self.out / "stores" / "clean" / "views"}
        places = {view: zarr.open_group(folder, mode="r") for view, folder in folders.items()}
        rows = {view: {str(name): at for at, name in enumerate(np.asarray(group["name"]))} for view, group in places.items()}

        def change(name: str, level: int, cells: Array, view: bool) -> Array:
            of: Any = places[view][f"level{level}"]
            cells[1] = of[rows[view][name]][1]  # where timestep 25 was, 50 without noise
            return cells

        return change


Change = Callable[[str, int, Array, bool], Array]


def moments(cells: Array) -> tuple[Array, Array]:
    """Return mean and deviation over images and places of cells of shape (images, timesteps, draws, side, side, channels)."""
    over = (0, 2, 3, 4)
    mean, deviation = cells.mean(axis=over, dtype=np.float64), cells.std(axis=over, dtype=np.float64)
    shape = (cells.shape[1], 1, 1, 1, cells.shape[-1])
    return mean.reshape(shape).astype(np.float32), deviation.reshape(shape).astype(np.float32)


def standardised(cells: Array, mean: Array, deviation: Array) -> Array:
    """Return cells with mean 0 and deviation 1, as far as those given are theirs."""
    return (cells - mean) / (deviation + 1e-6)


def _write_manifests(out: Path, data: Path) -> None:
    """Write the development images' manifest, and those of the mirrored and of the smaller ones, with their pictures."""
    write_development(data, out / "development.csv")
    with (out / "development.csv").open(newline="") as file:
        plain = [{"name": f"{row['domain']}-{Path(row['image']).stem}", **row} for row in csv.DictReader(file)]
    mirrored, smaller = [row for row in plain if row["split"] == "train"], []
    for kind, change, rows in (("mirrored", _mirror, plain), ("smaller", _shrink, [r for r in plain if r["split"] == "val"])):
        (out / kind / "images").mkdir(parents=True, exist_ok=True)
        (out / kind / "masks").mkdir(exist_ok=True)
        for row in rows:
            files = {column: out / kind / f"{column}s" / f"{row['name']}.png" for column in ("image", "mask")}
            for column, file_ in files.items():
                change(Image.open(row[column]).convert("L"), column).save(file_)
            name = f"mirrored-{row['name']}" if row["split"] == "train" else row["name"]
            made = {**row, "name": name, **{column: str(file_) for column, file_ in files.items()}}
            (mirrored if kind == "mirrored" else smaller).append(made)
    for called, rows in (("plain", plain), ("mirrored", mirrored), ("smaller", smaller)):
        with (out / f"{called}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(plain[0]))
            writer.writeheader()
            writer.writerows(rows)


def _mirror(image: Image.Image, column: str) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _shrink(image: Image.Image, column: str) -> Image.Image:
    """Put a margin around an image that repeats its border, so that it is smaller in the backbone's square."""
    return Image.fromarray(np.pad(np.asarray(image), margin(image.size), mode="edge" if column == "image" else "constant"))


def margin(size: Sequence[int]) -> int:
    """Return the margin's pixels for an image of that size."""
    return round(MARGIN * max(size))


def part(truths: Truths, learned: str, n: int, seed: int) -> None:
    """Fit once and score what is made of its votes, unless that is on the disk."""
    file = truths.out / "parts" / f"{learned}-{n}-{seed}.csv"
    if file.exists() or (learned == "cv" and n == 1):
        return
    file.parent.mkdir(exist_ok=True)
    rows = []
    for idea, name, probabilities in votes(truths, learned, n, seed):
        truth = truths.mask(name)
        dice = float(score(truth, probabilities.argmax(axis=-1).astype(np.uint8), 2).dice[1])
        rows.append([idea, n, seed, truths.domains[name], name, dice])
    with file.with_suffix(".partial").open("w", newline="") as partial:
        csv.writer(partial).writerows(rows)
    file.with_suffix(".partial").rename(file)
    print(file.stem, flush=True)


def votes(truths: Truths, learned: str, n: int, seed: int) -> Iterator[tuple[str, str, Array]]:
    """Yield idea, image and probabilities of shape (height, width, 2) at the image's own resolution."""
    ideas = IDEAS[learned]
    if learned == "cv":
        head = fitted(truths.store("plain"), n, seed, iterations_by_folds(truths, n, seed))
        yield from ((ideas[0], block.name, native(truths, head, block)) for block in truths.blocks("plain"))
        return
    head = fitted(truths.store(learned), n, seed)
    if learned == "mirrored":
        for block, mirror in zip(truths.blocks("plain"), truths.blocks("mirrored"), strict=True):
            probabilities = native(truths, head, block)
            yield ideas[0], block.name, probabilities
            yield ideas[1], block.name, (probabilities + native(truths, head, mirror)[:, ::-1]) / 2
        return
    if learned == "pool":
        pool = truths.of_pool()
        for plain, block in zip(truths.blocks("plain"), truths.blocks("pool"), strict=True):
            yield ideas[0], block.name, native(truths, head, block)
            yield ideas[1], block.name, own_resolution(truths, mixed(head, plain, pool), block)
        return
    if learned != "plain":
        yield from ((ideas[0], block.name, native(truths, head, block)) for block in truths.blocks(learned))
        return
    others = (truths.blocks(store) for store in ("again", "mirrored", "smaller"))
    for block, again, mirror, small in zip(truths.blocks("plain"), *others, strict=True):
        probabilities, picture = native(truths, head, block), truths.picture(block.name)
        edge = margin(picture.shape)
        larger = (picture.shape[0] + 2 * edge, picture.shape[1] + 2 * edge)
        square = head.probabilities(small).reshape(small.size, small.size, -1)
        cut = from_square_probabilities(square, larger, "pad")[edge:-edge, edge:-edge]
        yield ideas[0], block.name, probabilities
        yield ideas[1], block.name, (probabilities + native(truths, head, again)) / 2
        yield ideas[2], block.name, (probabilities + native(truths, head, mirror)[:, ::-1]) / 2
        yield ideas[3], block.name, (probabilities + cut) / 2
        for idea, radius in zip(ideas[4:6], (RADIUS, 2.0), strict=True):
            square = head.probabilities(block).reshape(block.size, block.size, -1)
            yield idea, block.name, two(guided_mask(square, picture[..., None], "pad", radius=radius))
        yield ideas[6], block.name, two(walked(probabilities[..., 1], picture))


def fitted(
    store: FeatureStore, n: int, seed: int, iterations: int = ITERATIONS[-1], names: Sequence[str] | None = None
) -> Segmenter:
    """Fit the MLPs on n patients of one image each."""
    timesteps = tuple(store.settings.timesteps)
    method = method_named("ledme", views=8, timesteps=timesteps)
    features: Any = store if names is None else Some(store, names)
    return fit(features, method, groups=n, seed=seed, sampling="root", iterations=iterations)


class Some:
    """A store of whose images some are the split to learn from, and the others are of none."""

    def __init__(self, store: FeatureStore, names: Sequence[str]) -> None:
        self._store = store
        self.labels = replace(store.labels, splits=tuple("train" if name in names else "" for name in store.labels.names))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def iterations_by_folds(truths: Truths, n: int, seed: int) -> int:
    """Choose how long to learn by the Dice of images that are left out, three folds at most, at feature resolution."""
    store = truths.store("plain")
    names = fitted(store, n, seed, 1).provenance.images
    folds = [names[at :: min(3, n)] for at in range(min(3, n))]
    scores = {}
    for iterations in ITERATIONS:
        dice = []
        for fold in folds:
            rest = [name for name in names if name not in fold]
            head = fitted(store, len(rest), seed, iterations, rest)
            for block in store.blocks(fold):
                found = head.probabilities(block).argmax(axis=-1).reshape(block.size, block.size)
                dice.append(float(score(store.mask(block.name), found.astype(np.uint8), 2).dice[1]))
        scores[iterations] = float(np.mean(dice))
    print(f"n = {n}, seed {seed}: {scores}", flush=True)
    return max(scores, key=lambda iterations: scores[iterations])


def native(truths: Truths, head: Segmenter, block: Block) -> Array:
    """Return what a head makes of an image, at the image's own resolution."""
    return own_resolution(truths, head.probabilities(block), block)


def own_resolution(truths: Truths, probabilities: NDArray[np.floating], block: Block) -> Array:
    """Bring probabilities of a block's pixels to its image's own resolution."""
    square = probabilities.reshape(block.size, block.size, -1)
    return from_square_probabilities(square, truths.picture(block.name).shape, "pad")


def mixed(head: Segmenter, plain: Block, pool: list[tuple[Array, Array]]) -> NDArray[np.floating]:
    """Standardise by mixtures of the training images' statistics and the image's own; weigh the votes by their entropy.

    The idea is that of InTEnt (Dong et al. 2024, arXiv:2402.09604), whose statistics are those of a network's batch
    normalisations.
    """
    opinions = []
    for weight in MIXTURES:
        cells = []
        for level, (mean, deviation) in zip(plain.cells, pool, strict=True):
            own = moments(level[None].astype(np.float32))
            mean_, deviation_ = ((1 - weight) * a + weight * b for a, b in zip((mean, deviation), own, strict=True))
            cells.append(standardised(level.astype(np.float32), mean_, deviation_).astype(level.dtype))
        opinions.append(head.probabilities(replace(plain, cells=tuple(cells))).reshape(plain.size**2, -1))
    return vote(np.stack(opinions), rule="entropy")


def walked(probability: Array, picture: Array) -> Array:
    """Decide what is unsure by a random walk on the picture (Grady 2006, doi:10.1109/TPAMI.2006.233), scikit-image's."""
    from skimage.segmentation import random_walker

    sure = np.where(probability > 0.9, 2, np.where(probability < 0.1, 1, 0))
    if len(np.unique(sure)) < 3:
        return probability
    return np.asarray(random_walker(picture, sure, beta=130, mode="cg_j", tol=1e-4, return_full_prob=True)[1], np.float32)


def two(probability: NDArray[Any]) -> Array:
    """Return the probabilities of both classes, of the foreground's."""
    return np.stack([1 - np.asarray(probability, np.float32), np.asarray(probability, np.float32)], axis=-1)


def table(parts: Path) -> Iterator[str]:
    """Yield a line for each idea: its means, and its gains on what there was, seed by seed."""
    dice: dict[tuple[str, str, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(parts.glob("*.csv")):
        with file.open(newline="") as rows:
            for idea, n, seed, domain, _, value in csv.reader(rows):
                dice[idea, domain, int(n)][int(seed)].append(100 * float(value))
    cells = [(domain, n) for domain in ("shenzhen", "kermany") for n in sorted({key[2] for key in dice})]
    yield "| idea | " + " | ".join(f"{domain}, n = {n}" for domain, n in cells) + " |"
    yield "|---|" + "--:|" * len(cells)
    for idea in (idea for ideas in IDEAS.values() for idea in ideas):
        line = []
        for cell in cells:
            ours, base = ({seed: float(np.mean(values)) for seed, values in dice[name, *cell].items()} for name in (idea, BASE))
            apart = [ours[seed] - base[seed] for seed in ours if seed in base]
            text = f"{np.mean(list(ours.values())):.1f}" if ours else "–"
            if idea != BASE and len(apart) > 1:
                half = stats.t.ppf(0.975, len(apart) - 1) * np.std(apart, ddof=1) / sqrt(len(apart))
                text += f" ({np.mean(apart):+.1f} ± {half:.1f})"
            line.append(text)
        yield f"| {idea} | " + " | ".join(line) + " |"


if __name__ == "__main__":
    main()
