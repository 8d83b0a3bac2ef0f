"""Whether an ONNX file computes what the head does: both are asked about the same images with the same noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract import Backbone, available_cores, compute, draw_noise, on_this_machine
from tedm.heads import Segmenter
from tedm.packages import package
from tedm.store import FeatureSettings, Storage
from tedm.store.layout import upsample
from tedm.study.export.models.onnx_file import OUTPUTS

TOLERANCE = 1e-4
IMAGES = 2
UNROUNDED = Storage("native", "float32")


@dataclass(frozen=True)
class Agreement:
    """How far a file and the head are apart, on images made up for it.

    Parameters
    ----------
    images : int
        How many were asked about.
    opinions, probabilities : float
        The largest difference of a voter's and of the vote's probability, with activations as the backbone gives them. Where
        voters that are nearly undecided may decide otherwise (the rule "hard"), or a temperature enlarges differences, the
        latter is that of the file's vote from the vote on the file's own opinions.
    as_predicted : float
        The largest difference of the vote's probability from what `tedm predict` writes: it rounds activations as the head's
        store does.
    pixels : float
        The share of pixels that get another class there.
    """

    images: int
    opinions: float
    probabilities: float
    as_predicted: float
    pixels: float


def noise_for(settings: FeatureSettings, timesteps: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Return the noise of an image: shape (timesteps, draws, channels, size, size); see `tedm.extract.noise`."""
    shape = (settings.image_channels, settings.image_size, settings.image_size)
    drawn = [
        draw_noise(shape, mode=settings.noise, seed=settings.noise_seed, name=name, timestep=timestep, draw=draw)
        for timestep in timesteps
        for draw in range(settings.draws)
    ]
    return np.stack(drawn).reshape(len(timesteps), settings.draws, *shape)


def require_agreement(head: Segmenter, backbone: Backbone, file: Path, *, tolerance: float = TOLERANCE) -> Agreement:
    """Compare an ONNX file with the head that it was made of.

    Parameters
    ----------
    head : Segmenter
    backbone : Backbone
        At the head's levels, in float32.
    file : Path
    tolerance : float
        The largest difference of probabilities that is let pass.

    Returns
    -------
    Agreement

    Raises
    ------
    TedmError
        If onnxruntime cannot run the file, or a probability differs by more.
    """
    runtime = package("onnxruntime", "onnx", "--onnx")
    try:
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        inputs = [each.name for each in session.get_inputs()]
    except Exception as error:  # its errors have no class of their own that is public
        raise _unusable(f"onnxruntime {runtime.__version__} cannot read it: {_first_line(error)}") from error
    vote, settings = head.vote(), head.settings
    arithmetic = replace(on_this_machine(head.arithmetic, "cpu"), precision="float32", channels_last=False)
    arithmetic = replace(arithmetic, threads=min(arithmetic.threads, available_cores()))
    images = {f"check {number}": image for number, image in enumerate(check_images(settings))}
    apart: list[tuple[float, float, float, float]] = []
    for computed in compute(backbone, settings, arithmetic, images.items(), vote.timesteps):
        plain, kept = (
            head.opinions(storage.block(computed.name, vote.timesteps, computed.cells, settings), vote.timesteps)
            for storage in (UNROUNDED, head.storage)
        )
        given = {
            "image": images[computed.name].transpose(2, 0, 1)[None],
            "noise": noise_for(settings, vote.timesteps, computed.name),
        }
        try:
            answered = session.run(["probabilities", "opinions"], {name: given[name] for name in inputs})
        except Exception as error:  # as above
            raise _unusable(f"onnxruntime {runtime.__version__} cannot run it: {_first_line(error)}") from error
        probabilities, opinions = (np.moveaxis(array, 1, -1).reshape(len(array), -1, len(head.classes)) for array in answered)
        by_voter = _largest(opinions, plain)
        if not by_voter <= tolerance:
            raise _apart(by_voter, "a voter", tolerance, runtime.__version__)
        decided = vote.merge(opinions if vote.rule == "hard" or vote.temperature is not None else plain)
        after_vote = _largest(probabilities[0], decided)
        if not after_vote <= tolerance:
            raise _apart(after_vote, "the vote", tolerance, runtime.__version__)
        predicted = vote.merge(kept)
        other = float((predicted.argmax(-1) != probabilities[0].argmax(-1)).mean())
        apart.append((by_voter, after_vote, _largest(probabilities[0], predicted), other))
    by_voter, after_vote, as_predicted, pixels = np.array(apart).T
    return Agreement(
        len(apart), float(by_voter.max()), float(after_vote.max()), float(as_predicted.max()), float(pixels.mean())
    )


def examples(head: Segmenter, file: Path) -> dict[str, NDArray[np.float32]]:
    """Return what an ONNX file takes and gives, by the names of its inputs and outputs, for the first of `check_images`.

    Parameters
    ----------
    head : Segmenter
    file : Path
        One that `require_agreement` let pass.
    """
    session = package("onnxruntime", "onnx", "--onnx").InferenceSession(str(file), providers=["CPUExecutionProvider"])
    settings = head.settings
    given = {
        "image": check_images(settings)[0].transpose(2, 0, 1)[None],
        "noise": noise_for(settings, head.vote().timesteps, "check 0"),
    }
    inputs = {each.name: given[each.name] for each in session.get_inputs()}
    return {**inputs, **dict(zip(OUTPUTS, session.run(list(OUTPUTS), inputs), strict=True))}


def check_images(settings: FeatureSettings) -> list[NDArray[np.float32]]:
    """Return pictures of nothing, (size, size, channels) in [0, 1], of coarse shapes and fine grain; the same ones "
    "every time."""
    random, size, channels = np.random.default_rng(0), settings.image_size, settings.image_channels
    coarse = max(each for each in range(1, 9) if size % each == 0)
    grains = np.linspace(0.0, 0.3, IMAGES)
    shapes = [upsample(random.random((coarse, coarse, channels), np.float32), size, "bilinear") for _ in grains]
    grained = [shape + grain * random.standard_normal(shape.shape) for shape, grain in zip(shapes, grains, strict=True)]
    return [each.clip(0, 1).astype(np.float32) for each in grained]


def _largest(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    return float(np.abs(ours.astype(np.float64) - theirs).max())


def _apart(difference: float, whose: str, tolerance: float, version: str) -> TedmError:
    return _unusable(
        f"with onnxruntime {version} a probability of {whose} differs by {difference:.3g} from the head's, and "
        f"{tolerance:g} is the most"
    )


def _unusable(why: str) -> TedmError:
    return TedmError(
        f"the ONNX file does not do what the head does, and nothing was written: {why}\n"
        "Leave out --onnx, or try the versions of torch, onnxscript and onnxruntime in constraints.txt of tedm."
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
