"""The head that is several heads: each learns from the same images by itself, and their merged opinions vote.

Its parts differ in what they read: timesteps that are shared or side by side, or the image itself. Each part is, to the bits,
what its method alone would be with the same seed; a committee adds nothing but the vote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from tedm.allocator import give_back
from tedm.errors import TedmError
from tedm.heads.base.classifier import Classifier
from tedm.heads.base.head import Capabilities, FitReport, Head, HeadOptions, Progress, StartingHead
from tedm.heads.base.predictor import PREDICTING_BYTES
from tedm.heads.base.registry import head_class, known_heads, make_head
from tedm.heads.committee.folder import read_part, save_part
from tedm.heads.committee.parts import Part, parts_from_json, timesteps_of
from tedm.heads.committee.rehearsal import rehearse
from tedm.heads.committee.states import States
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import RowLayout, block_bytes
from tedm.heads.data.sampling import ClassWeight
from tedm.heads.voting.ballot import Vote, merging_bytes
from tedm.jsons import JsonValue
from tedm.networks.pretrained import Pretrained
from tedm.store import Block, Features
from tedm.text import listed

# Steps of the progress that each part has.
STEPS = 100


class CommitteeHead(Classifier):
    """Several heads, each with timesteps, row layout and vote of its own, whose merged opinions are the voters.

    Parameters
    ----------
    parts : sequence of mappings
        The fields of each `tedm.heads.committee.parts.Part`, as JSON values.
    members : int or None
        How many parts there are; None takes their number.
    iterations : int or None
        Of each part that counts iterations, whatever its settings say; None leaves it to the parts.
    class_weight : {"balanced"}, mapping of class to weight, or None
        Of each part that takes such, whatever its settings say.
    precision : {"auto", "float32", "bfloat16"} or None
        Of each part that can choose, whatever its settings say.
    seed : int
        Of every part: parts of equal heads differ in what they read.
    device : {"cpu", "cuda"}
        Where parts that can choose train and predict.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    parts_ : tuple of Part
    heads_ : list of Head
        Fitted, one for each part.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        options={"iterations": "iterations", "class_weight": "class_weight", "precision": "precision"},
        from_method=frozenset({"members"}),
        takes_seed=True,
        takes_device=True,
        resumes=True,
        starts=True,
        parts=True,
    )

    def __init__(
        self,
        parts: Sequence[Mapping[str, Any]] = (),
        *,
        members: int | None = None,
        iterations: int | None = None,
        class_weight: ClassWeight = None,
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.parts = parts
        self.members = members
        self.iterations = iterations
        self.class_weight = class_weight
        self.precision = precision
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:
        """Refuse rows: a `TedmError`."""
        raise TedmError("the parts of a committee need rows of their own: fit it on features with fit_blocks")

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Refuse rows: a `TedmError`."""
        raise TedmError("the parts of a committee need rows of their own: ask it with opinions, for a block")

    def needs_validation(self) -> bool:
        """Tell whether images of the val split decide something in the fit of a part."""
        return any(self._made(part).needs_validation() for part in self._parts())

    def needs_weights(self) -> bool:
        """Tell whether a part starts from pretrained weights."""
        return any(self._starts(part) for part in self._parts())

    def start_from(self, weights: Pretrained) -> None:
        """Take the weights that the next fit of every part that starts from some starts from.

        Raises
        ------
        TedmError
            If no part starts from weights, or one from others.
        """
        starting = [part for part in self._parts() if self._starts(part)]
        if not starting:
            raise TedmError(
                "--checkpoint names weights to start from, and no part of the committee starts from any: leave it out"
            )
        for part in starting:
            with _named(part):
                cast(StartingHead, self._made(part)).start_from(weights)
        self._weights: Pretrained | None = weights

    def require_settings(self) -> None:
        """Refuse settings with which a part makes no fit; a committee that has no parts yet can still get some."""
        for part in self._parts() if self.parts else ():
            with _named(part):
                self._made(part)

    def fit_blocks(
        self,
        data: TrainingData,
        validation: TrainingData | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Fit the parts on features, one after the other.

        Parameters
        ----------
        data : TrainingData
            Images to learn from, with the timesteps of all parts; each part gets its own as its own rows.
        validation : TrainingData or None
            Images that decide something for the parts that need them.
        progress : callable (done, all, loss) or None
            Told of a hundred steps a part, with the loss of the part at work.
        checkpoint : Path or None
            Folder of the checkpoints of those parts that resume, made if it is not there. If it is, the fit goes on from it,
            and ends in the same bits; parts that do not resume begin anew. Delete it once the head is saved.

        Raises
        ------
        TedmError
            If a part refuses what it is asked for, before any of them has begun; or while it is fitted.
        """
        parts = self._parts()
        _require_rows(parts, data)
        tasks = [self._task(part, data, validation) for part in parts]
        for part, (own, deciding) in zip(parts, tasks, strict=True):
            with _named(part), own.budget.without_advice():
                rehearse(self._started(part), own, deciding)
        states = None if checkpoint is None else States(Path(checkpoint), parts)
        heads = []
        for index, (part, (own, deciding)) in enumerate(zip(parts, tasks, strict=True)):
            head, shown = self._started(part), None if progress is None else _PartProgress(progress, index, len(parts))
            try:
                with _named(part), own.budget.without_advice():
                    heads.append(head.fit_blocks(own, deciding, shown, None if states is None else states.of(index)))
            finally:
                own.let_go()
                if deciding is not None:
                    deciding.let_go()
                give_back()  # to the system what this part has freed: the next counts what the process has
            if shown is not None:
                shown.finish()
        self.parts_, self.heads_ = parts, heads
        self.classes_, self.n_features_in_ = np.arange(len(data.classes)), data.n_features
        return self

    def opinions(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """Return the merged opinion of each part: shape (parts, pixels, classes), whatever the number of draws.

        Parameters
        ----------
        block : Block
            An image's activations at least at the timesteps of all parts, and its image if `sees_images`.
        rows : {"share", "concatenate"}
            Not used: each part has its own.
        """
        self._require_fitted("heads_")
        merged = []
        for part, head in zip(self.parts_, self.heads_, strict=True):
            seen = replace(block, timesteps=(), cells=()) if part.looks_at_images else block.at(part.timesteps)
            own = head.opinions(seen, part.rows).reshape(-1, block.size**2, len(self.classes_))
            merged.append(Vote(part.vote, part.timesteps).merge(own))
        return np.stack(merged)

    @property
    def sees_images(self) -> bool:
        """Whether a part looks at images."""
        return any(part.looks_at_images for part in self._parts())

    def part_bytes(self, features: Features) -> int:
        """Return what the opinions of a part on an image of such features take at most, and merging them."""
        settings = features.settings
        most = 0
        for part in self._parts():
            cells = 3 * block_bytes(features, len(part.timesteps))[0]  # some of the block's, and these as float32
            rows = PREDICTING_BYTES if head_class(part.head).capabilities.takes_rows else 0
            merging = merging_bytes(part.voters(settings.draws), settings.image_size**2, len(self.classes_))
            most = max(most, cells + rows + merging)
        return most

    def report(self) -> FitReport:
        """Tell what came of the fit of each part."""
        about = []
        for part, head in zip(self.parts_, self.heads_, strict=True):
            came = head.report()
            told: dict[str, JsonValue] = {"name": part.name, "head": part.head}
            told |= {"iterations": came.iterations} if came.iterations is not None else {}
            told |= {"converged": came.converged} if came.converged is not None else {}
            told |= {"loss": came.loss_curve[-1]} if came.loss_curve else {}
            told |= {"validation_loss": came.validation_curve[-1]} if came.validation_curve else {}
            about.append(told | dict(came.details))
        return FitReport(details={"parts": about})

    def remarks(self) -> list[str]:
        """Tell what the parts tell, with their names, and which of them take no option that was given."""
        told = []
        for part, head in zip(self.parts_, self.heads_, strict=True):
            told += [f"{part.name}: {remark}" for remark in head.remarks()]
            for option in self.capabilities.options:
                if getattr(self, option) is not None and option not in head.capabilities.options:
                    told.append(f"{part.name}: {part.head} takes no --{option.replace('_', '-')}, and is fitted without it")
        return told

    def constructor(self) -> dict[str, JsonValue]:
        """Return the arguments that make an unfitted head like this one."""
        parts = self._parts()
        return {**super().constructor(), "parts": [part.to_json() for part in parts], "members": len(parts)}

    def save(self, folder: Path) -> None:
        """Write each part to a folder of its own."""
        for index, head in enumerate(self.heads_):
            save_part(head, folder / _folder_of(index))

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read the parts."""
        for part in self.parts:
            _require_there(part)
        try:
            parts = self._parts()
        except TedmError as error:  # whoever reads knows where it is
            raise ValueError(str(error)) from error
        channels, rest = divmod(features, len(timesteps_of(parts)))
        if rest or not channels:
            raise ValueError(f"its rows have {features} features, which are not those of {listed(timesteps_of(parts))}")
        self.heads_ = [
            read_part(part, folder / _folder_of(index), channels=channels, classes=classes, device=self.device)
            for index, part in enumerate(parts)
        ]
        self.parts_, self.classes_, self.n_features_in_ = parts, np.arange(classes), features

    # -- making the parts ---------------------------------------------------------------------------------------------

    def _parts(self) -> tuple[Part, ...]:
        """Return the parts, checked; a `TedmError` if they are none."""
        parts = parts_from_json(self.parts)
        if self.members is not None and self.members != len(parts):
            raise TedmError(
                f"the committee has {len(parts)} parts, and its method {self.members} members: say --members {len(parts)}"
            )
        return parts

    def _made(self, part: Part) -> Head:
        """Return the unfitted head of a part."""
        able, given = head_class(part.head).capabilities, {}
        for option in self.capabilities.options:
            if getattr(self, option) is not None and option in able.options:
                given[option] = getattr(self, option)
        asked = {able.options[option] for option in given}
        settings = {name: value for name, value in part.settings.items() if able.parameters is not None or name not in asked}
        own: dict[str, JsonValue] = {"members": part.members, "vote": part.vote, "pixels_per_batch": part.pixels_per_batch}
        options = HeadOptions(**given)
        return make_head(part.head, options, deepcopy(settings), seed=self.seed, device=self.device, from_method=own)

    def _started(self, part: Part) -> Head:
        """Return the unfitted head of a part, with the weights that it starts from."""
        head, weights = self._made(part), getattr(self, "_weights", None)
        if weights is not None and self._starts(part):
            cast(StartingHead, head).start_from(weights)
        return head

    def _starts(self, part: Part) -> bool:
        """Tell whether a part starts from weights."""
        return head_class(part.head).capabilities.starts and cast(StartingHead, self._made(part)).needs_weights()

    def _task(
        self, part: Part, data: TrainingData, validation: TrainingData | None
    ) -> tuple[TrainingData, TrainingData | None]:
        """Return the images that a part learns from, and those that decide something for it, as its own rows."""
        own = data.as_rows(part.rows, part.timesteps)
        if part.pixels_per_image is not None:
            own.thin(part.pixels_per_image, self.seed)
        if validation is None or not self._made(part).needs_validation():
            return own, None
        return own, validation.as_rows(part.rows, part.timesteps)


class _PartProgress:
    """The progress of a part, told as that of its committee."""

    def __init__(self, told: Progress, index: int, parts: int) -> None:
        self._told, self._before, self._all = told, index * STEPS, parts * STEPS
        self._step = 0

    def __call__(self, done: int, of: int, loss: float) -> None:
        """Tell how far the part is."""
        self._step = min(STEPS, STEPS * done // max(of, 1))
        self._told(self._before + self._step, self._all, loss)

    def finish(self) -> None:
        """Tell that the part is done, if it has not said so itself: a solver may need less than it may take."""
        if self._step < STEPS:
            self(1, 1, float("nan"))


@contextlib.contextmanager
def _named(part: Part) -> Iterator[None]:
    """Put the name of a part before what its head refuses with."""
    try:
        yield
    except TedmError as error:
        raise type(error)(f"the part {part.name!r} of the committee: {error}") from error


def _require_rows(parts: Sequence[Part], data: TrainingData) -> None:
    """Refuse data of other timesteps than the parts', or of shared rows: a head's voters would not be what its method says."""
    read = timesteps_of(parts)
    if data.rows != "concatenate":
        raise TedmError("the parts of a committee have rows of their own, and its timesteps are no voters: --rows concatenate")
    if sorted(data.timesteps) != list(read):
        raise TedmError(
            f"the parts of the committee read the timesteps {listed(read)}, and its method {listed(data.timesteps)}: "
            f"say --timesteps {','.join(map(str, read))}"
        )


def _require_there(value: object) -> None:
    """Refuse a part of a kind that is not here: nothing is wrong with the committee then."""
    head = value.get("head") if isinstance(value, Mapping) else None
    if isinstance(head, str) and head.partition(":")[0] not in known_heads():
        raise TedmError(f"there is no head {head[:100]!r} here; install the package that it is from, or a newer tedm")


def _folder_of(index: int) -> str:
    return f"part-{index}"
