"""Small heads of every kind on a tiny backbone, and what tedm and a chain make of an image; an example run without tedm."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.extract import compute, extract, load_backbone, read_manifest
from tedm.extract.backbones import Backbone
from tedm.heads import Calibration, Segmenter, VoterWeights, fit, method_named
from tedm.store import FeatureStore
from tedm.study.export.models.chain import Chain
from tedm.study.export.models.parity import UNROUNDED, check_images, noise_for

# Without tedm: an import of it fails, and the interpreter sees no variables and no folder of ours.
ALONE = 'import sys; sys.modules["tedm"] = None\n'
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def made_store(path: Path, manifest: Path, checkpoint: Path, **options) -> FeatureStore:
    """A store of real images at two timesteps, in float32 arithmetic."""
    backbone = load_backbone(checkpoint)
    settings = {"timesteps": [1, 50], "layout": "native", "precision": "float32", "device": "cpu", "threads": 1} | options
    extract(read_manifest(manifest), path, backbone, **settings)
    return FeatureStore.open(path)


def made_head(store: FeatureStore, method: str = "tedm", *, temperature: float | None = None, learned=None, **changes):
    """A head that has learned a little; changes are of its method."""
    asked = method_named(method, **({} if method.startswith("timestep") else {"timesteps": (1, 50)}) | changes)
    head = fit(store, asked, iterations=30)
    vote = head.vote() if learned is None else None
    if temperature is not None:
        head = dataclasses.replace(head, calibration=Calibration(temperature, vote.rule, vote.timesteps))
    if learned is not None:
        head = dataclasses.replace(
            head, weights=VoterWeights((1, 50), learned), method=dataclasses.replace(head.method, vote="learned")
        )
    return head


def both(head: Segmenter, checkpoint: Path | Backbone) -> tuple[tuple[NDArray, NDArray], tuple[NDArray, NDArray]]:
    """Probabilities (pixels, classes) and opinions (voters, pixels, classes) of an image, by tedm and by a chain."""
    backbone = load_backbone(checkpoint) if isinstance(checkpoint, Path) else checkpoint
    backbone = backbone.with_levels([level.name for level in head.settings.levels])
    vote, settings = head.vote(), head.settings
    image = check_images(settings)[1]
    (computed,) = compute(backbone, settings, head.arithmetic, [("a", image)], vote.timesteps)
    opinions = head.opinions(UNROUNDED.block("a", vote.timesteps, computed.cells, settings), vote.timesteps)
    chain, noise = Chain(head, backbone).eval(), torch.from_numpy(noise_for(settings, vote.timesteps, "a"))
    with torch.inference_mode():
        answered = chain(torch.from_numpy(image.transpose(2, 0, 1)[None]), *[noise] * ("noise" in chain.inputs))
    theirs = [np.moveaxis(each.numpy(), 1, -1).reshape(len(each), -1, len(head.classes)) for each in answered]
    return (vote.merge(opinions), opinions), (theirs[0][0], theirs[1])


def example_of(readme: Path) -> str:
    """The lines of Python that stand in a model card."""
    return "\n".join(BLOCK.findall(readme.read_text()))


def run_example(folder: Path, name: str, *, image: Path | None = None) -> NDArray:
    """The mask that the example of a model's card makes of an image, in a process that cannot import tedm."""
    lines = example_of(folder / "README.md").replace('"scan"', repr(name))
    if image is not None:
        lines = lines.replace('Image.open(f"{name}.png")', f"Image.open({str(image)!r})")
    script = folder.parent / "example.py"
    script.write_text(ALONE + lines)
    done = subprocess.run([sys.executable, "-I", str(script)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = folder / "mask.npy"
    mask = np.load(made)
    made.unlink()
    return mask
