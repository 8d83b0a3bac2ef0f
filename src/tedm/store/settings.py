"""What makes features comparable.

Two activations may meet in one classifier only if the same network saw the same kind of input: that is `FeatureSettings`.
How the numbers were computed (`Arithmetic`) decides their last bits, and is recorded so that the bits can be had again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, Self

import msgspec

from tedm.errors import TedmError
from tedm.jsons import JsonValue
from tedm.store.volumes.normalisation import Normalisation
from tedm.text import listed

Layout = Literal["upsampled", "native"]
Upsampling = Literal["nearest", "bilinear"]
NoiseMode = Literal["per-image", "shared", "none"]
Geometry = Literal["pad", "stretch"]
Axis = Literal["axial", "coronal", "sagittal", "0", "1", "2"]
Crop = int | Literal["brain", "nonzero"]
# Settings that only volumes and modalities have.
OF_VOLUMES = ("axis", "normalisation", "crop", "channel_names")
Precision = Literal["float32", "bfloat16"]
StorageType = Literal["float16", "float32"]


@dataclass(frozen=True)
class Level:
    """One decoder level: where a tap sits and what comes out of it.

    Parameters
    ----------
    name : str
        Name of the level, and of its array in a native store.
    channels : int
        Length of its activation vectors.
    stride : int
        Pixels per cell: the level has (image size / stride) cells along each side.
    """

    name: str
    channels: int
    stride: int


@dataclass(frozen=True)
class FeatureSettings:
    """What features are: the backbone, its input, its timesteps.

    Parameters
    ----------
    checkpoint_sha256 : str
        SHA-256 of the checkpoint file, hexadecimal.
    levels : tuple of Level
        Decoder levels in the order in which the network computes them, coarsest first; also the order of the channels.
    image_size : int
        Side of the square images that the backbone sees, in pixels.
    image_channels : int
        1 for grey, 3 for RGB, the number of modalities for volumes.
    geometry : {"pad", "stretch"}
        How an image becomes a square.
    input_range : tuple of two floats
        What black and white are for the backbone.
    intensity_range : tuple of two floats, or None
        What black and white are in the files; None is the file type's range.
    upsampling : {"nearest", "bilinear"}
        How a level reaches the image's resolution.
    noise : {"per-image", "shared", "none"}
        Whose noise an image gets.
    noise_seed : int
        Seed of all draws.
    timesteps : tuple of int
        Indices into alphas_cumprod.
    draws : int
        Draws of noise per image and timestep.
    axis : {"axial", "coronal", "sagittal", "0", "1", "2"} or None
        How volumes are cut into slices; None for features without volumes.
    normalisation : Normalisation or None
        How the numbers of volumes become intensities; None is `intensity_range`, or the file type's range.
    crop : int, "brain", "nonzero" or None
        The part of a slice that is shown: so many voxels along both sides around its centre, the box around the brain mask, or
        the box around all voxels that are not 0.
    channel_names : tuple of str
        What the channels are called where each is a modality of its own, in their order; empty where nothing is said of them.
    """

    checkpoint_sha256: str
    levels: tuple[Level, ...]
    image_size: int
    image_channels: int
    geometry: Geometry
    input_range: tuple[float, float]
    intensity_range: tuple[float, float] | None
    upsampling: Upsampling
    noise: NoiseMode
    noise_seed: int
    timesteps: tuple[int, ...]
    draws: int
    axis: Axis | None = None
    normalisation: Normalisation | None = None
    crop: Crop | None = None
    channel_names: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Length of a pixel's feature vector at one timestep: the sum over levels."""
        return sum(level.channels for level in self.levels)

    def side(self, level: Level) -> int:
        """Cells along each side of a level."""
        return self.image_size // level.stride

    def on(self, levels: Sequence[str]) -> Self:
        """Return the settings of features that have these levels only, in the network's order whatever the order asked for.

        Raises
        ------
        TedmError
            If there is no such level, or none is asked for.
        """
        self.positions(levels)
        return dataclasses.replace(self, levels=tuple(level for level in self.levels if level.name in levels))

    def positions(self, levels: Sequence[str]) -> list[int]:
        """Return where levels are among all, in the network's order; a `TedmError` if there is no such level."""
        names = [level.name for level in self.levels]
        unknown = [level for level in levels if level not in names]
        if unknown or not levels:
            asked = f"there is no level {unknown[0]}" if unknown else "no level is asked for"
            raise TedmError(f"{asked}; the features have {', '.join(names)}")
        return [position for position, name in enumerate(names) if name in levels]

    def timesteps_asked_for(self, timesteps: Sequence[int] | None) -> tuple[int, ...]:
        """Return these timesteps, all of them if None; a `TedmError` if one of them is not there, or none is asked for."""
        asked_for = self.timesteps if timesteps is None else tuple(timesteps)
        absent = [timestep for timestep in asked_for if timestep not in self.timesteps]
        if absent or not asked_for:
            asked = f"there is no timestep {listed(absent)}" if absent else "no timestep is asked for"
            raise TedmError(f"{asked}; the features have {listed(self.timesteps)}")
        return asked_for

    def channels_of(self, levels: Sequence[str]) -> list[int]:
        """Return where the channels of levels are in a pixel's vector."""
        edges = [0, *accumulate(level.channels for level in self.levels)]
        return [channel for at in self.positions(levels) for channel in range(edges[at], edges[at + 1])]

    def to_json(self) -> dict[str, JsonValue]:
        """Return the settings as plain JSON values."""
        values = dataclasses.asdict(self)
        # what only volumes have is left out without volumes, so that such a store has the bytes that it always had
        return {key: value for key, value in values.items() if value or key not in OF_VOLUMES}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        intensity, normalisation = values["intensity_range"], values.get("normalisation")
        return cls(
            **{
                **values,
                "levels": tuple(Level(**level) for level in values["levels"]),
                "input_range": tuple(values["input_range"]),
                "intensity_range": None if intensity is None else tuple(intensity),
                "timesteps": tuple(values["timesteps"]),
                "normalisation": None if normalisation is None else msgspec.convert(normalisation, Normalisation),
                "channel_names": tuple(values.get("channel_names", ())),
            }
        )


@dataclass(frozen=True)
class Arithmetic:
    """How the numbers were computed: with all of this equal, they are equal bit for bit.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Kind of device.
    precision : {"float32", "bfloat16"}
        Type of the network's arithmetic.
    channels_last : bool
        Memory format of the network's tensors.
    batch_size : int
        Images in each forward pass; the last batch is padded to it.
    threads : int
        Threads of the network on a CPU.
    torch : str
        Version of torch.
    processor : str
        Name of the processor or of the GPU.
    revision : int
        Of the code that computes: it is raised when another version of tedm computes other bits. 0 is before it was recorded.
    """

    device: Literal["cpu", "cuda"]
    precision: Precision
    channels_last: bool
    batch_size: int
    threads: int
    torch: str
    processor: str
    revision: int = 0


# Features that differ in one of these do not belong in one classifier; all else may differ, and is said.
MUST_MATCH = {
    "checkpoint_sha256": "checkpoint (SHA-256)",
    "levels": "levels",
    "image_size": "image size",
    "image_channels": "image channels",
    "geometry": "geometry",
    "input_range": "input range",
    "intensity_range": "intensity range",
    "axis": "axis of slices",
    "normalisation": "normalisation",
    "crop": "crop",
    "channel_names": "names of the channels",
    "upsampling": "upsampling",
    "noise": "noise",
}
# What is left of these where nobody looks at activations, but at the images themselves.
MUST_MATCH_OF_IMAGES = {
    field: title
    for field, title in MUST_MATCH.items()
    if field not in ("checkpoint_sha256", "levels", "input_range", "upsampling", "noise")
}
MAY_DIFFER = {"noise_seed": "noise seed", "draws": "draws"}


def differences(
    ours: FeatureSettings | Arithmetic, theirs: FeatureSettings | Arithmetic, fields: dict[str, str], *, us: str, them: str
) -> list[str]:
    """Return one line for each named field in which two settings differ."""
    return [
        f"{title}: {us} has {_short(getattr(ours, field))}, {them} has {_short(getattr(theirs, field))}"
        for field, title in fields.items()
        if getattr(ours, field) != getattr(theirs, field)
    ]


def require_same_features(
    head: FeatureSettings, features: FeatureSettings, timesteps: tuple[int, ...], *, what: str, images_only: bool = False
) -> None:
    """Refuse features that a head was not made for.

    Parameters
    ----------
    head, features : FeatureSettings
        What the head was fitted on, and what it is asked to predict from.
    timesteps : tuple of int
        The timesteps that will be used.
    what : str
        The features' name in the message.
    images_only : bool
        Whether the head looks at images and at no activations.

    Raises
    ------
    TedmError
        If they differ in anything of `MUST_MATCH` (`MUST_MATCH_OF_IMAGES`), or a timestep is not there.
    """
    compared = MUST_MATCH_OF_IMAGES if images_only else MUST_MATCH
    problems = differences(head, features, compared, us="the head", them=what)
    absent = [timestep for timestep in timesteps if timestep not in features.timesteps]
    if absent:
        problems.append(f"timesteps: {listed(absent)} not in {what}, which has {listed(features.timesteps)}")
    if problems:
        raise TedmError(
            "the head was made for other features\n  "
            + "\n  ".join(problems)
            + "\nExtract with the head's settings (tedm-inspect HEAD shows them), or fit a head on these features."
        )


def _short(value: object) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], Level):
        return ", ".join(f"{level.name} ({level.channels} x 1/{level.stride})" for level in value)
    if isinstance(value, Normalisation):
        return str(value)
    text = listed(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 40 else text[:12] + "..."
