"""A head with all that it takes to turn features into masks.

An estimator knows rows; a segmenter knows which timesteps and which layout its rows came from, what the features were, what the
classes are called, how the opinions vote, and what it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.base.classifier import PREDICTING_BYTES
from tedm.heads.base.registry import KINDS, Head, Progress, kind_of, make_head
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import block_bytes
from tedm.heads.data.sampling import Sampling
from tedm.heads.data.subsets import first_images
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.workers import HERE, Workers
from tedm.heads.segmenter.methods import Method, require_name
from tedm.heads.voting.temperature import Calibration, scaled
from tedm.heads.voting.temperature import calibrate as calibrate_head
from tedm.heads.voting.vote import VotingRule, vote
from tedm.heads.voting.weights import VoterWeights, learn_weights
from tedm.store import Arithmetic, Block, Features, FeatureSettings, Storage
from tedm.store.fingerprints import Fingerprint, fingerprints, recorded
from tedm.store.settings import require_same_features
from tedm.store.splits import images_to_choose_on, images_to_learn_from


@dataclass(frozen=True)
class Segmenter:
    """A fitted head and its circumstances.

    Parameters
    ----------
    method : Method
        Timesteps, row layout, vote.
    estimator : Head
        Fitted.
    settings, arithmetic, storage
        Those of the features that it was fitted on.
    classes : tuple of int
        Mask values; class k of the estimator is the k-th.
    provenance : dict
        Plain JSON values: training images and their fingerprints, seed, labels used, losses, version.
    weights : VoterWeights or None
        What each voter counts under the rule "learned"; None if that was not learned.
    calibration : Calibration or None
        The temperature of the committee's probabilities; None leaves them as they come out of the vote.
    name : str
        What the user calls the head in tables; empty if it is called as its method is.
    """

    method: Method
    estimator: Head
    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    classes: tuple[int, ...]
    provenance: dict[str, Any]
    weights: VoterWeights | None = None
    calibration: Calibration | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """Return the name that the user gave, or the method's."""
        return self.name or self.method.name

    def opinions(self, block: Block, timesteps: Sequence[int] | None = None) -> NDArray[np.floating]:
        """What every voter thinks of every pixel.

        Parameters
        ----------
        block : Block
            An image's activations at least at the timesteps that are used.
        timesteps : sequence of int or None
            Some of the head's timesteps, if it shares one classifier; None takes all.

        Returns
        -------
        array of shape (voters, pixels, classes)
            Voters are members x timesteps x draws, or members x draws if the timesteps are concatenated.
        """
        block = block.at(self.timesteps(timesteps))
        probabilities = self.estimator.opinions(block, self.method.rows)
        return probabilities.reshape(-1, block.size**2, len(self.classes))

    def probabilities(
        self, block: Block, *, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None
    ) -> NDArray[np.floating]:
        """The committee's probabilities of shape (size, size, classes); `rule` of None votes as the method does."""
        merged = self.merge(self.opinions(block, timesteps), rule=rule, timesteps=timesteps)
        return merged.reshape(block.size, block.size, len(self.classes))

    def merge(
        self, opinions: NDArray[np.floating], *, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None
    ) -> NDArray[np.floating]:
        """The vote on `opinions` of the same `timesteps`, with the head's weights and its temperature where they are for it.

        Parameters
        ----------
        opinions : array of shape (voters, pixels, classes)
        rule : {"soft", "hard", "geometric", "entropy", "learned"} or None
            None votes as the method does.
        timesteps : sequence of int or None
            None if all of the head's vote.

        Returns
        -------
        array of shape (pixels, classes)

        Raises
        ------
        TedmError
            If the rule is "learned" and the head has no weights for these timesteps.
        """
        rule = rule or self.method.vote
        weights = None
        if rule == "learned":
            used = self.timesteps(timesteps)
            apart = self.method.members * (len(used) if self.method.rows == "share" else 1)
            weights = self._learned().of_voters(used, len(opinions) // apart)
        merged = vote(opinions, rule=rule, weights=weights)
        if self.calibration is None or not self.calibrated(rule, timesteps):
            return merged
        return scaled(merged, self.calibration.temperature)

    def calibrated(self, rule: VotingRule | None, timesteps: Sequence[int] | None) -> bool:
        """Whether the head has a temperature for this vote."""
        return self.calibration is not None and self.calibration.suits(rule or self.method.vote, self.timesteps(timesteps))

    def not_applied(self, rule: VotingRule | None, timesteps: Sequence[int] | None) -> str:
        """Why this vote's probabilities are not calibrated although the head is: a sentence, or nothing."""
        vote_now, used = rule or self.method.vote, self.timesteps(timesteps)
        if self.calibration is None or self.calibrated(rule, timesteps):
            return ""
        fitted = self.calibration
        others, these = f"the {fitted.rule} vote", f"the {vote_now} vote"
        if sorted(used) != sorted(fitted.timesteps):
            others, these = f"{others} of the timesteps {_listed(fitted.timesteps)}", f"{these} of {_listed(used)}"
        return f"the temperature {fitted.temperature:.3g} is not applied: it was fitted for {others}, and this is {these}"

    def timesteps(self, asked: Sequence[int] | None) -> tuple[int, ...]:
        """The timesteps that a prediction uses; a `TedmError` if the head cannot use those asked for."""
        if asked is None or tuple(asked) == self.method.timesteps:
            return self.method.timesteps
        if self.method.rows == "concatenate":
            raise TedmError(
                f"a {self.method.name} head reads its timesteps {_listed(self.method.timesteps)} side by side "
                f"and cannot do with {_listed(asked)}; leave --timesteps out, or use a head of shared rows (tedm)"
            )
        if not asked:
            raise TedmError("there is no timestep to vote; --timesteps takes one or more of the head's")
        # A shared classifier can be asked about any timestep that the features have: whether it should is the user's question.
        return tuple(asked)

    def require(
        self, features: Features, timesteps: Sequence[int] | None = None, *, what: str, rule: VotingRule | None = None
    ) -> None:
        """Refuse features that this head was not made for, and a vote that it cannot hold."""
        require_same_features(self.settings, features.settings, self.timesteps(timesteps), what=what)
        if (rule or self.method.vote) == "learned":
            self._learned().of_voters(self.timesteps(timesteps), 1)

    def voting_bytes(self, features: Features, timesteps: Sequence[int] | None = None) -> int:
        """What the opinions on an image of such features take, and merging them."""
        settings, used = features.settings, self.timesteps(timesteps)
        voters = self.method.members * settings.draws * (len(used) if self.method.rows == "share" else 1)
        cells = block_bytes(features, len(used))[0] * 2  # as float32, or some of them again
        if KINDS[kind_of(self.method.head)].takes_rows:
            cells += PREDICTING_BYTES
        return cells + settings.image_size**2 * len(self.classes) * 8 * (2 * voters + 8)

    @property
    def learned_from(self) -> tuple[Fingerprint, ...]:
        """Fingerprints of the training images."""
        return recorded(self.provenance, "images")

    @property
    def chosen_on(self) -> tuple[Fingerprint, ...]:
        """Fingerprints of the images by which something was chosen: when to stop, a penalty, weights, a temperature."""
        return recorded(self.provenance, "validation_images")

    def having_used(self, chosen_on: Sequence[Fingerprint]) -> dict[str, Any]:
        """Return the provenance of a head that was chosen on these images as well; labels that were used before count once."""
        before = self.chosen_on
        new = [one for one in chosen_on if not any(one.same_image(other) for other in before)]
        return self.provenance | {
            "labels_used": self.provenance["labels_used"] + len(new),
            "validation_images": [*self.provenance.get("validation_images", []), *(one.name for one in new)],
            "fingerprints": _as_json(images=self.learned_from, validation_images=[*before, *new]),
        }

    def _learned(self) -> VoterWeights:
        if self.weights is None:
            raise TedmError(
                f"this {self.method.name} head has no learned weights; "
                "fit one with tedm-fit --vote learned, or choose another --vote"
            )
        return self.weights


def fit(
    features: Features,
    method: Method,
    *,
    name: str | None = None,
    split: str | None = "train",
    domain: str | None = None,
    images: int | None = None,
    pixels_per_image: int | None = None,
    sampling: Sampling = "uniform",
    params: Mapping[str, Any] | None = None,
    calibrate: bool = False,
    seed: int = 0,
    device: str = "cpu",
    memory: int | None = None,
    workers: Workers = HERE,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Segmenter:
    """Fit a method's head on labelled images of some features.

    Parameters
    ----------
    features : Features
        A store, say.
    method : Method
        See `method_named`.
    name : str or None
        What the head is called in tables; None calls it as the method is called.
    split, domain : str or None
        Where the images are taken from; None takes all.
    images : int or None
        Training images: the first of a permutation by `seed`, by group, so that larger subsets contain smaller ones.
        None takes all.
    pixels_per_image : int or None
        Labelled pixels used of each image; None takes all.
    sampling : {"uniform", "balanced", "boundary"}
        How pixels are drawn, where pixels are drawn.
    params : mapping or None
        Arguments of the head's class (of the estimator, for "sklearn:...") by their own names.
    calibrate : bool
        Afterwards fit a temperature on the labelled images of split "val" of the same domain (`tedm.heads.voting.temperature`).
        Where the method votes by "learned", its weights are learned on them first. Both count as used labels, and both are
        computed by this process, whatever `workers` are.
    seed : int
        Of the subset, the weights and the batches.
    device : str
        Where an MLP is trained, or XGBoost.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    workers : Workers
        A cluster that computes image by image, or this process.
    checkpoint : Path or None
        File of an MLP's fit under way: one that was stopped goes on from there. To be deleted when the head is safe.
    progress : callable (done, all, loss) or None
    **options
        iterations, learning_rate, batch, pixels_per_batch, images_per_batch, ridge, select, patience, class_weight: what the
        head's kind takes (`tedm.heads.base.registry.KINDS`). None takes the method's or the head's own. With `patience`, or
        `select` of "val", the images of split "val" of the same domain decide, which must not be learned from, nor others of
        their groups; their labels count as used.

    Returns
    -------
    Segmenter

    Raises
    ------
    TedmError
        If timesteps, images, labels or classes are not there, the head does not take an option, the name cannot stand in a
        table, or the budget is too small.
    """
    label = "" if name is None else require_name(name)
    absent = [timestep for timestep in method.timesteps if timestep not in features.settings.timesteps]
    if absent:
        raise TedmError(
            f"{method.name} reads timesteps that are not there: {_listed(absent)}; the features have "
            f"{_listed(features.settings.timesteps)}\n"
            "Choose among these with --timesteps, or extract the others to a new store (a store's timesteps are fixed)."
        )
    fixed: dict[str, Any] = {}
    if method.head == "mlp":
        plain = "soft" if method.vote == "learned" else method.vote  # there are no weights yet
        fixed = {"members": method.members, "vote": plain, "pixels_per_batch": method.pixels_per_batch}
    if options.get("class_weight") is not None:
        options["class_weight"] = _by_index(options["class_weight"], features.labels.classes)
    head = make_head(method.head, options, params or {}, seed=seed, device=device, **fixed)
    candidates = images_to_learn_from(features.labels, split=split, domain=domain)
    names = first_images(candidates, features.labels.group_of(candidates), images, seed)
    learned_from = fingerprints(features, names)
    held_out: dict[str, Any] = {"split": "val", "domain": domain}
    decides = {"--patience": options.get("patience") is not None, "--select val": options.get("select") == "val"}
    follows = {"--vote learned": method.vote == "learned", "--calibrate": calibrate}
    purpose = next((option for option, wanted in (decides | follows).items() if wanted), None)
    # Looked for before an hour of fitting, not after it.
    val = [] if purpose is None else images_to_choose_on(features, learned_from, **held_out, purpose=purpose)
    of_rows: dict[str, Any] = {
        "rows": method.rows,
        "timesteps": method.timesteps,
        "sampling": sampling,
        "memory": Budget(memory),
        "workers": workers,
    }
    data = TrainingData(features, names, pixels_per_image=pixels_per_image, seed=seed, **of_rows)
    provenance: dict[str, Any] = {
        "tedm": version("tedm"),
        "images": names,
        "split": split or "",
        "domain": domain or "",
        "seed": seed,
        "pixels_per_image": pixels_per_image,
        "sampling": sampling,
        "labels_used": len(names),
        "fingerprints": _as_json(images=learned_from),
    }
    validation = None
    if any(decides.values()):
        validation = TrainingData(features, val, **of_rows)
        provenance["labels_used"] += len(val)
        provenance["validation_images"] = val
        provenance["fingerprints"] |= _as_json(validation_images=fingerprints(features, val))
    under_way: dict[str, Any] = {"checkpoint": checkpoint} if checkpoint is not None and method.head == "mlp" else {}
    head.fit_blocks(data, validation, progress, **under_way)
    provenance |= head.account()
    made_from = (features.settings, features.arithmetic, features.storage, features.labels.classes)
    fitted = Segmenter(method, head, *made_from, provenance, name=label)
    del data, validation  # with the blocks that they have kept
    if method.vote == "learned":
        fitted = learn_weights(fitted, features, **held_out, memory=memory)
    return calibrate_head(fitted, features, **held_out, memory=memory) if calibrate else fitted


def _by_index(wanted: Any, classes: Sequence[int]) -> Any:
    """Class weights by mask value as weights by class index, which is what heads know."""
    if not isinstance(wanted, Mapping):
        return wanted
    index = {str(value): str(position) for position, value in enumerate(classes)}
    unknown = [value for value in wanted if str(value) not in index]
    if unknown:
        raise TedmError(f"--class-weight is for {unknown[0]}, which is no mask value here; these are {_listed(classes)}")
    return {index[str(value)]: weight for value, weight in wanted.items()}


def _as_json(**of_role: Sequence[Fingerprint]) -> dict[str, list[dict[str, str]]]:
    """Return what provenance keeps of fingerprints; `recorded` reads it."""
    return {role: [one.to_json() for one in of_this] for role, of_this in of_role.items()}


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
