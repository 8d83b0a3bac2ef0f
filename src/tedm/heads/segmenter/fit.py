"""From features to a fitted head: what is learned from, what decides, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal, cast

from tedm.errors import TedmError
from tedm.heads.base.head import Head, HeadOptions, Progress, StartingHead
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.sampling import ClassWeight, Sampling
from tedm.heads.data.subsets import Order, first_groups, first_images
from tedm.heads.data.views import WithViews
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.workers import HERE, Workers
from tedm.heads.segmenter.by_number import by_number
from tedm.heads.segmenter.methods import JURIES, Method, method_named, require_name, unfitted_head, with_head
from tedm.heads.segmenter.provenance import Provenance
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.segmenter.shapes import smallest_parts
from tedm.heads.segmenter.tuning import with_temperature, with_weights
from tedm.jsons import JsonValue
from tedm.keywords import plain_keywords
from tedm.networks.pretrained import Pretrained
from tedm.store import Features, FeatureStore, Labels, Location
from tedm.store.splits import images_of_fit, images_to_learn_from
from tedm.text import counted, listed


@plain_keywords
def fit(
    features: Features | Location,
    method: Method | str,
    *,
    head: object = None,
    name: str | None = None,
    split: str | None = "train",
    domain: str | None = None,
    images: int | None = None,
    groups: int | None = None,
    order: Order | None = None,
    pixels_per_image: int | None = None,
    sampling: Sampling | None = None,
    iterations: int | None = None,
    learning_rate: float | None = None,
    batch: Literal["pixels", "images"] | None = None,
    pixels_per_batch: int | None = None,
    images_per_batch: int | None = None,
    ridge: float | Sequence[float] | Literal["auto"] | None = None,
    select: Literal["cv", "val"] | None = None,
    patience: int | None = None,
    class_weight: ClassWeight = None,
    precision: Literal["auto", "float32", "bfloat16"] | None = None,
    params: Mapping[str, JsonValue] | None = None,
    start: Pretrained | None = None,
    calibrate: bool = False,
    seed: int = 0,
    device: str = "cpu",
    memory: int | None = None,
    workers: Workers = HERE,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Segmenter:
    """Fit a method's head on labelled images of some features.

    Parameters
    ----------
    features : Features, path or URL
        A store, or where one lies.
    method : Method or str
        See `method_named`; a text is the name of one. The default is another where training images are many
        (`tedm.heads.segmenter.by_number`). Its `views` of each training image are learned from besides the image;
        they are no further labels.
    head : str, classifier or None
        Another head than the method's, by its name, or an unfitted classifier of scikit-learn: a forest, a pipeline, a search
        (whose `cv` is given the images' groups, if it asks for them).
    name : str or None
        What the head is called in tables; None calls it as the method is called.
    split, domain : str or None
        Where the images are taken from; None takes all.
    images : int or None
        Training images: the first of a permutation by `seed`, by group, so that larger subsets contain smaller ones.
        None takes all.
    groups : int or None
        Training groups (patients): all the images of the first groups of the same permutation. The size of the training set, n
        in tables, is then this number; with `images` as well it is that number of images, which the groups give in turn.
    order : {"seed", "manifest"} or None
        "manifest" takes the first images or groups in the features' own order in place of the permutation's. None takes the
        seed's, and the manifest's where the method is as published.
    pixels_per_image : int or None
        Labelled pixels used of each image, and of each view; None takes all.
    sampling : {"uniform", "balanced", "root", "boundary"} or None
        How pixels are drawn, where pixels are drawn (`tedm.heads.data.sampling`); None draws them as the method does.
    iterations, learning_rate, batch, pixels_per_batch, images_per_batch, ridge, select, patience, class_weight, precision
        See `tedm.heads.base.head.HeadOptions`; None takes the method's or the head's own, and what a head does not take is
        refused. Class weights are by mask value. Where something is chosen on validation images (with `patience`, or `select`
        of "val"), these are the images of split "val" of the same domain, which must not be learned from, nor others of their
        groups; their labels count as used.
    params : mapping or None
        Arguments of the head's class (of the estimator, for "sklearn:...") by their own names.
    start : Pretrained or None
        Weights that the fit starts from, for methods that do.
    calibrate : bool
        Afterwards fit a temperature on the labelled images of split "val" of the same domain (`calibrate`). Where the method
        votes by "learned", its weights are learned on them first. Both count as used labels, and both are computed by this
        process, whatever `workers` are.
    seed : int
        Of the subset, the weights and the batches.
    device : str
        Where a head that can choose is trained.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    workers : Workers
        A cluster that computes image by image, or this process.
    checkpoint : Path or None
        Where the state of a fit under way lies, for heads that resume: one that was stopped goes on from there. A file, of a
        committee a folder; to be deleted when the head is safe (`tedm.files.discard`).
    progress : callable (done, all, loss) or None

    Returns
    -------
    Segmenter

    Raises
    ------
    TedmError
        If timesteps, images, labels or classes are not there, the head does not take an option, the name cannot stand in a
        table, or the budget is too small.
    """
    features = FeatureStore.open(features) if isinstance(features, str | Path) else features
    label = "" if name is None else require_name(name)
    method, params = with_head(method_named(method) if isinstance(method, str) else method, head, params)
    require_timesteps(method, features.settings.timesteps)
    options = HeadOptions(
        iterations,
        learning_rate,
        batch,
        pixels_per_batch,
        images_per_batch,
        ridge,
        select,
        patience,
        weights_by_index(class_weight, features.labels.classes),
        precision,
    )
    unfitted_head(method, options, params, seed=seed, device=device)  # refuses what the method does not take
    candidates = images_to_learn_from(features.labels, split=split, domain=domain)
    order = order or order_of(method)
    names = training_subset(features.labels, candidates, images=images, groups=groups, seed=seed, order=order)
    method = by_number(method, len(names), options, params)
    unfitted = unfitted_head(method, options, params, seed=seed, device=device)
    _start(unfitted, method, start)
    decides = {
        "--patience": patience is not None,
        "--select val": select == "val",
        "--as-published": method.published and unfitted.needs_validation(),
        f"--head {method.head}": unfitted.needs_validation(),
    }
    follows = {"--vote learned": method.vote == "learned", "--calibrate": calibrate}
    purpose = next((option for option, wanted in (decides | follows).items() if wanted), None)
    # Looked for before an hour of fitting, not after it.
    chosen = images_of_fit(features, names, domain=domain, purpose=purpose)
    deciding = chosen.chosen_on if any(decides.values()) else ()
    budget = Budget(memory)
    several = _with_views(features, method, names)
    drawn_by = sampling or method.sampling

    def training_data(of: Features, names: Sequence[str], pixels: int | None, views: Collection[str] = ()) -> TrainingData:
        return TrainingData(
            of,
            names,
            rows=method.rows,
            timesteps=method.timesteps,
            pixels_per_image=pixels,
            sampling=drawn_by,
            seed=seed,
            memory=budget,
            workers=workers,
            views=views,
        )

    if several is None:
        data = training_data(features, names, pixels_per_image)
    else:
        data = training_data(several, several.names, pixels_per_image, several.view_names)
    validation = training_data(features, [image.name for image in deciding], None) if deciding else None
    unfitted.fit_blocks(data, validation, progress, checkpoint)
    provenance = Provenance(
        tedm=version("tedm"),
        learned_from=chosen.learned_from,
        split=split or "",
        domain=domain or "",
        seed=seed,
        pixels_per_image=pixels_per_image,
        sampling=drawn_by,
        labels_used=len(names) + len(deciding),
        chosen_on=deciding,
        report=unfitted.report(),
        groups=groups,
        n_counts="groups" if groups is not None and images is None else "images",
        order=order,
    )
    made_from = (features.settings, features.arithmetic, features.storage, features.labels.classes)
    legend = (features.labels.class_names, features.labels.class_colours)
    parts = smallest_parts(map(features.mask, names), len(features.labels.classes)) if method.specks else ()
    segmenter = Segmenter(method, unfitted, *made_from, provenance, None, None, label, *legend, parts)
    del data, validation  # with the blocks that they have kept
    if method.vote == "learned":
        segmenter = with_weights(segmenter, features, chosen.chosen_on, memory=memory)
    return with_temperature(segmenter, features, chosen.chosen_on, memory=memory) if calibrate else segmenter


def _start(head: Head, method: Method, start: Pretrained | None) -> None:
    """Give a head the weights that it starts from; a `TedmError` if it takes none."""
    if start is None:
        return
    if not head.capabilities.starts or (method.name in JURIES and not cast(StartingHead, head).needs_weights()):
        instead = ", or choose --method jury-finetune" if method.name in JURIES else ""
        raise TedmError(
            f"--checkpoint names weights to start from, and --method {method.name} starts from none; leave it out{instead}"
        )
    cast(StartingHead, head).start_from(start)


def _with_views(features: Features, method: Method, names: Sequence[str]) -> WithViews | None:
    """Return training images with their views; None where none are learned from."""
    if not method.views:
        return None
    views = features.views()
    if views is None:
        raise TedmError(
            f"{method.name} learns from {counted(method.views, 'view')} of each training image, and the store has none; make "
            f"them with the same tedm-extract and --views {method.views}, or fit without (--views 0)"
        )
    return WithViews(features, views, names, method.views)


def order_of(method: Method) -> Order:
    """Return whose first images a fit learns from where nobody says so: the paper's code takes the first rows of its list."""
    return "manifest" if method.published else "seed"


def training_subset(
    labels: Labels, candidates: Sequence[str], *, images: int | None, groups: int | None, seed: int, order: Order = "seed"
) -> list[str]:
    """Return the images that a fit learns from; see `fit` for the arguments.

    Raises
    ------
    TedmError
        If there are not so many.
    """
    of = labels.group_of(candidates)
    if groups is None:
        return first_images(candidates, of, images, seed, order=order)
    return first_groups(candidates, of, groups, seed, images=images, order=order)


def require_timesteps(method: Method, there: Sequence[int]) -> None:
    """Refuse a method that reads timesteps which the features do not have."""
    absent = [timestep for timestep in method.timesteps if timestep not in there]
    if absent:
        raise TedmError(
            f"{method.name} reads timesteps that are not there: {listed(absent)}; the features have "
            f"{listed(there)}\n"
            "Choose among these with --timesteps, or extract the others to a new store (a store's timesteps are fixed)."
        )


def weights_by_index(wanted: ClassWeight, classes: Sequence[int]) -> ClassWeight:
    """Return class weights by mask value as weights by class index, which is what heads know."""
    if not isinstance(wanted, Mapping):
        return wanted
    index = {str(value): str(position) for position, value in enumerate(classes)}
    unknown = [value for value in wanted if str(value) not in index]
    if unknown:
        raise TedmError(f"--class-weight is for {unknown[0]}, which is no mask value here; these are {listed(classes)}")
    return {index[str(value)]: weight for value, weight in wanted.items()}
