"""docs/picture.png: what tedm does, in one picture of the demo's brain template. Run it to draw the picture again.

Learned from the demo's six axial slices; what is shown is a slice between two of them. It illustrates, and evaluates nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch

from tedm.extract import noisy_image
from tedm.heads import component_maps, fit, method_named, predict
from tedm.study.demo import template_backbone, template_store

SLICE = "axial-077"
TIMESTEPS = (1, 50, 200)
CLASSES = {1: (0.90, 0.62, 0.0), 2: (0.34, 0.71, 0.91)}  # grey and white matter, in colours of Okabe and Ito


def draw(path: Path) -> None:
    """Extract, fit, predict, and draw."""
    with tempfile.TemporaryDirectory() as folder:
        store = template_store(Path(folder), timesteps=(1, 10, 25, 50, 200), domains=["axial"])
        backbone = template_backbone()
        image = store.image(SLICE)[..., 0]
        noisy = [np.asarray(noisy_image(backbone, store, SLICE, timestep)).squeeze() for timestep in TIMESTEPS]
        head = fit(store, method_named("ledme", timesteps=[1, 10, 25, 50, 200]), iterations=400, seed=0)
        (found,) = predict(store, {"ledme": head}, [SLICE], uncertainty=True)
        shown = component_maps(store, store.labels.names, [SLICE])
        colours = np.asarray(shown.of(SLICE)["level1"])[[store.settings.timesteps.index(each) for each in TIMESTEPS]]
    figure = plt.figure(figsize=(12, 5.4), dpi=120, facecolor="white")
    text = {"fontsize": 21, "color": "#222222"}

    def panel(left: float, bottom: float, side: float, content: np.ndarray, title: str = "", **look: object) -> None:
        axes = figure.add_axes((left, bottom, side / 12 * 5.4, side))
        axes.imshow(content, interpolation="nearest", **({"cmap": "gray", "vmin": 0, "vmax": 1} | look))
        axes.set_axis_off()
        axes.set_title(title, pad=8, **text)

    def arrow(start: float, end: float, height: float) -> None:
        figure.add_artist(
            FancyArrowPatch((start, height), (end, height), arrowstyle="-|>", mutation_scale=26, linewidth=2.5, color="#444444")
        )

    panel(0.006, 0.30, 0.40, image, "image")
    arrow(0.193, 0.227, 0.50)
    for number, (timestep, seen, colour) in enumerate(zip(TIMESTEPS, noisy, colours, strict=True)):
        bottom = 0.635 - 0.305 * number
        low, high = np.quantile(seen, [0.02, 0.98])
        panel(0.234, bottom, 0.27, (seen - low) / (high - low), "with noise" if number == 0 else "")
        figure.text(0.36, bottom + 0.14, f"t = {timestep}", ha="left", va="center", **(text | {"fontsize": 18}))
        arrow(0.362, 0.44, bottom + 0.07)
        panel(0.447, bottom, 0.27, colour, "features, kept" if number == 0 else "")
    arrow(0.575, 0.61, 0.50)
    panel(0.616, 0.30, 0.40, _over(image, found.mask), "mask")
    words = "ten classifiers, taught by\nsix labelled slices, vote"
    figure.text(0.804, 0.24, words, ha="center", va="top", linespacing=1.3, **text)
    panel(0.812, 0.30, 0.40, np.asarray(found.entropy), "where unsure", cmap="magma", vmax=np.log(2))  # half of the votes
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def _over(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    shown = np.repeat(image[..., None], 3, axis=2)
    for value, colour in CLASSES.items():
        shown[mask == value] = 0.35 * shown[mask == value] + 0.65 * np.array(colour)
    return np.clip(shown, 0, 1)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("picture.png"))
