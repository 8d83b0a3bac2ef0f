"""What a user says of volumes: how they are cut, which files are modalities, where the brain is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tedm.errors import TedmError
from tedm.store import FeatureSettings
from tedm.store.settings import Axis, Crop
from tedm.store.volumes.normalisation import Brain

DropEmpty = Literal["train"]


@dataclass(frozen=True)
class VolumeOptions:
    """How files of volumes become images.

    Parameters
    ----------
    axis : {"axial", "coronal", "sagittal", "0", "1", "2"}
        The direction in which slices are counted: by the file's affine, or one of its own axes.
    channels : tuple of str
        The columns of a table, or the modalities of a data set, that are the channels of an image, in this order; empty takes
        the column `image`.
    channels_in_file : bool
        Whether a file of four dimensions holds a channel in each of its volumes; if not, it is refused.
    brain : {"mask", "nonzero", "all"} or None
        Which voxels are brain: those of the mask in the column `brainmask`, those that are not 0, or all. None takes the mask
        where there is one, and else all.
    crop : int, "brain" or None
        The part of a slice that is shown: so many voxels along both sides around its centre, or the box around the brain.
    drop_empty : "train" or None
        Whether slices of the split `train` that show no labelled structure are left out.
    """

    axis: Axis = "axial"
    channels: tuple[str, ...] = ()
    channels_in_file: bool = False
    brain: Brain | None = None
    crop: Crop | None = None
    drop_empty: DropEmpty | None = None

    def __post_init__(self) -> None:
        if isinstance(self.crop, int) and self.crop < 1:
            raise TedmError(f"--crop {self.crop}; give a number of voxels from 1 on, or brain")
        if len(set(self.channels)) < len(self.channels):
            raise TedmError(f"--channels {','.join(self.channels)} names one twice; each column is one channel")
        if self.crop == "nonzero":
            raise TedmError("--crop nonzero is written --crop brain --brain nonzero")
        if self.crop == "brain" and self.brain == "all":
            raise TedmError("--crop brain needs to know where the brain is: --brain mask or --brain nonzero")

    @property
    def recorded_crop(self) -> Crop | None:
        """The crop as settings of features keep it, with what the brain is: they have no other place for that."""
        return "nonzero" if (self.crop, self.brain) == ("brain", "nonzero") else self.crop

    @classmethod
    def of(cls, settings: FeatureSettings) -> VolumeOptions:
        """Return the options with which features of these settings were made, for new volumes."""
        return cls(
            axis=settings.axis or "axial",
            channels=settings.channel_names,
            channels_in_file=settings.image_channels > 1 and not settings.channel_names and settings.axis is not None,
            brain=settings.normalisation.brain if settings.normalisation else "nonzero" if settings.crop == "nonzero" else None,
            crop="brain" if settings.crop == "nonzero" else settings.crop,
        )


NO_OPTIONS = VolumeOptions()
