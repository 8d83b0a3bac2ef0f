"""What a study asks for: features, images to learn from and to score on, methods, sizes and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from tedm.errors import TedmError
from tedm.heads import (
    Correction,
    EmptyTruth,
    Head,
    HeadOptions,
    Method,
    Metric,
    NCounts,
    RowLayout,
    Sampling,
    VotingRule,
    by_number,
    method_named,
    require_name,
    unfitted_head,
)
from tedm.store.settings import Axis, Crop, Geometry, Layout, NoiseMode, StorageType, Upsampling
from tedm.store.volumes.normalisation import Brain, NormalisationMethod
from tedm.study.trial.names import folder_name
from tedm.views import ViewChanges

T = TypeVar("T")
TEDM_TIMESTEPS = (1, 10, 25, 50, 200, 400, 600, 800)


@dataclass(frozen=True)
class FeaturesAsked:
    """A store that is there, or images and a checkpoint from which one is extracted.

    Parameters
    ----------
    store : str or None
        A store that is there, a folder or a URL; nothing else is said then.
    images : str or tuple of str
        Manifests, folders or data sets, extracted into one store one after the other.
    checkpoint, backbone_config : str or None
        The pretrained DDPM, and JSON with what it does not tell.
    levels, timesteps, layout, upsampling, dtype, noise, noise_seed, draws, views, view_changes, geometry, input_range
    intensity_range, batch_size, precision, channels, axis, channels_in_file, brain, crop, normalise, percentiles, deviations
    drop_empty, classes, ignore, threshold
        As the options of tedm-extract.
    """

    store: str | None = None
    images: str | tuple[str, ...] = ()
    checkpoint: str | None = None
    backbone_config: str | None = None
    levels: str | None = None
    timesteps: tuple[int, ...] = TEDM_TIMESTEPS
    layout: Layout = "upsampled"
    upsampling: Upsampling = "nearest"
    dtype: StorageType = "float16"
    noise: NoiseMode = "per-image"
    noise_seed: int = 0
    draws: int = 1
    views: int = 0
    view_changes: ViewChanges = "full"
    geometry: Geometry = "pad"
    input_range: tuple[float, float] | None = None
    intensity_range: tuple[float, float] | None = None
    batch_size: int | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels: tuple[str, ...] = ()
    axis: Axis = "axial"
    channels_in_file: bool = False
    brain: Brain | None = None
    crop: Crop | None = None
    normalise: NormalisationMethod | None = None
    percentiles: tuple[float, float] | None = None
    deviations: float | None = None
    drop_empty: Literal["train"] | None = None
    classes: tuple[int, ...] | None = None
    ignore: int | None = None
    threshold: int | None = None

    def __post_init__(self) -> None:
        said = [each.name for each in fields(self) if each.name != "store" and getattr(self, each.name) != each.default]
        if self.store is not None and said:
            raise TedmError(f"store names features that are there, and {said[0]} is for those to be extracted; leave out one")
        if self.store is None and not (self.images and self.checkpoint):
            raise TedmError("name a store that is there, or images and the checkpoint to extract them with")
        if self.percentiles is not None and self.normalise != "quantile":
            raise TedmError('percentiles is for normalise = "quantile"; add that, or leave it out')
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise TedmError("percentiles are two numbers from 0 to 100, the lower one first")
        if self.deviations is not None and self.normalise != "zscore":
            raise TedmError('deviations is for normalise = "zscore"; add that, or leave it out')

    @property
    def sources(self) -> tuple[str, ...]:
        """Every place that images are named at."""
        return (self.images,) if isinstance(self.images, str) else self.images


@dataclass(frozen=True)
class LearnAsked:
    """Images to learn from; their val images are those of the split "val" of the same domain.

    Parameters
    ----------
    split, domain : str or None
        None takes all.
    """

    split: str | None = "train"
    domain: str | None = None


@dataclass(frozen=True)
class ScoreAsked:
    """Images to score on.

    Parameters
    ----------
    split, domain : str or None
        None takes all.
    volumes : str or None
        Masks of whole volumes (a manifest, a folder, a data set): then whole volumes are scored too.
    ignore : int or None
        Of these masks: the value of voxels without a label.
    distances : bool
        Of volumes: also measure distances between surfaces.
    tolerance : float or None
        Of these, in mm; see `tedm.heads.surface_scores`.
    """

    split: str | None = "test"
    domain: str | None = None
    volumes: str | None = None
    ignore: int | None = None
    distances: bool = False
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.volumes is None and (self.ignore is not None or self.distances or self.tolerance is not None):
            raise TedmError("ignore, distances and tolerance are for whole volumes; name their masks with volumes")
        if self.tolerance is not None and not self.distances:
            raise TedmError("tolerance is of distances between surfaces; add distances = true, or leave it out")


@dataclass(frozen=True)
class MethodAsked:
    """A method with its settings.

    Parameters
    ----------
    method : str
        See `tedm.heads.method_named`.
    name : str
        What tables call it; empty calls it as the method is called.
    checkpoint : str or None
        Weights to start from, for methods that do.
    as_published : bool
        The method as the paper's code has it.
    timesteps, rows, head, members, vote, views, smoothing, specks
        See `tedm.heads.method_named`.
    sampling, pixels_per_image, iterations, learning_rate, batch, pixels_per_batch, images_per_batch, ridge, select, patience
    class_weight, precision, params, calibrate
        See `tedm.heads.fit`.
    sizes, seeds : tuple of int or None
        In place of the study's, for what is dear.
    """

    method: str
    name: str = ""
    checkpoint: str | None = None
    as_published: bool = False
    timesteps: tuple[int, ...] | None = None
    rows: RowLayout | None = None
    head: str | None = None
    members: int | None = None
    vote: VotingRule | None = None
    views: int | None = None
    smoothing: float | None = None
    specks: float | None = None
    sampling: Sampling | None = None
    pixels_per_image: int | None = None
    iterations: int | None = None
    learning_rate: float | None = None
    batch: Literal["pixels", "images"] | None = None
    pixels_per_batch: int | None = None
    images_per_batch: int | None = None
    ridge: Any = None
    select: Literal["cv", "val"] | None = None
    patience: int | None = None
    class_weight: Any = None
    precision: Literal["auto", "float32", "bfloat16"] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    calibrate: bool = False
    sizes: tuple[int, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        require_name(self.label)
        if "@" in self.label:
            raise TedmError(f"the name {self.label!r} has an @, which stands for votes of single timesteps; leave it out")
        folder_name(self.label)
        self.settled()

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.name or self.method

    @property
    def options(self) -> HeadOptions:
        """What is asked of its head."""
        return HeadOptions(**{each.name: getattr(self, each.name) for each in fields(HeadOptions)})

    @property
    def fitted_with(self) -> HeadOptions:
        """What is asked of its head in every unit: float32, where there is a choice that the file leaves open.

        Units of one row are computed on the processors that a cluster gives, and have to be alike.
        """
        options = self.options
        if options.precision is None and "precision" in self.unfitted().capabilities.options:
            return replace(options, precision="float32")
        return options

    def settled(self) -> Method:
        """Return the method with these settings; a `TedmError` if there is none."""
        return method_named(
            self.method,
            timesteps=self.timesteps,
            rows=self.rows,
            head=self.head,
            members=self.members,
            vote=self.vote,
            views=self.views,
            smoothing=self.smoothing,
            specks=self.specks,
            published=self.as_published,
        )

    @property
    def decided_by_number(self) -> bool:
        """Whether what it is made of depends on the number of training images."""
        method = self.settled()
        return by_number(method, 1, self.options, self.params) != method

    @property
    def decided_by_classes(self) -> bool:
        """Whether its iterations are left to the number of classes."""
        return self.unfitted().constructor().get("iterations", 0) is None

    def unfitted(self) -> Head:
        """Return its head, unfitted; a `TedmError` if that does not take these settings."""
        method = by_number(self.settled(), 1, self.options, self.params)
        return unfitted_head(method, self.options, self.params)


@dataclass(frozen=True)
class Study:
    """A study.

    Parameters
    ----------
    source : Path
        Its file.
    title : str
    features : FeaturesAsked
    learn : LearnAsked
    score : tuple of ScoreAsked
        No image is in two of them.
    methods : tuple of MethodAsked
        Their labels, and the names of their folders, are told apart.
    sizes : tuple of int
        Training sizes.
    seeds : tuple of int
        Of the training images, the weights and the batches.
    seeds_at : mapping of int to tuple of int
        Seeds of some sizes, in place of `seeds`: one is enough where a size takes all images.
    counts : {"images", "groups"}
        What sizes are numbers of.
    metric, correction, empty_truth
        Of tables; see `tedm.heads.summarise`.
    """

    source: Path
    title: str
    features: FeaturesAsked
    learn: LearnAsked
    score: tuple[ScoreAsked, ...]
    methods: tuple[MethodAsked, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    seeds_at: Mapping[int, tuple[int, ...]]
    counts: NCounts
    metric: Metric
    correction: Correction
    empty_truth: EmptyTruth

    def path(self, said: str) -> Path:
        """Return a path of the file as it leads from here."""
        return self.source.parent / said

    def runs_of(self, method: MethodAsked) -> Iterator[tuple[int, int]]:
        """Yield (n, seed) of a method's units, size by size."""
        for n in sorted(self.sizes if method.sizes is None else method.sizes):
            for seed in sorted(self.seeds_at.get(n, self.seeds) if method.seeds is None else method.seeds):
                yield n, seed


def without_runs(method: MethodAsked) -> MethodAsked:
    """Return a method without its sizes and seeds: what is left decides its heads."""
    return replace(method, sizes=None, seeds=None)
