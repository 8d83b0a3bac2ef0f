"""An evaluation as a result folder, from which a report can be made without the store and the heads.

It holds the records, the table, what was run on what, and the best, the median and the worst image of each domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads import (
    CONVENTIONS,
    HERE,
    LEAVE_OUT,
    EmptyTruth,
    Identity,
    Prediction,
    Record,
    Segmenter,
    VotingRule,
    Workers,
    identities_csv,
    identities_from,
    identity_of,
    names_in_records,
    names_of,
    predict,
    read_records,
    records_csv,
    summarise,
)
from tedm.store import Features
from tedm.study.report.about import about_features, about_heads, about_records
from tedm.study.report.examples import (
    Example,
    Place,
    head_title,
    mean_dice,
    packed,
    places,
    shown_heads,
    training_images,
    unpacked,
)
from tedm.study.report.result import MAKERS, ResultFolder, read_result, write_result

if TYPE_CHECKING:
    from tedm.study.originals import Originals

# What the further files hold, and their names.
FILES = {
    "records": "records.csv",
    "table": "table.csv",
    "examples": "examples.csv",
    "arrays": "examples.npz",
    "methods": "methods.csv",
}
# Not in folders of earlier versions.
LATER = {"methods"}
# The labels of what says which images are shown, and what an empty truth counts.
CHOICE, EMPTY_TRUTH = "images shown", "empty truth"


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation's folder holds.

    Parameters
    ----------
    result : ResultFolder
    records : tuple of Record
    examples : tuple of Example
    classes : tuple of int
        Mask values.
    methods : mapping of str to Identity
        The settings behind each method's name in the records; empty for a folder of an earlier version.
    """

    result: ResultFolder
    records: tuple[Record, ...]
    examples: tuple[Example, ...]
    classes: tuple[int, ...]
    methods: Mapping[str, Identity] = field(default_factory=dict)


def write_evaluation(
    folder: Path,
    features: Features,
    heads: Mapping[str, Segmenter],
    records: Sequence[Record],
    *,
    title: str | None = None,
    command: str = "",
    words: Sequence[str] = (),
    shown: Sequence[str] | None = None,
    ranked_by: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    empty: EmptyTruth = LEAVE_OUT,
    originals: Originals | None = None,
) -> ResultFolder:
    """Write what `evaluate` found, and predictions of the best, the median and the worst image of each domain.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    features, heads, rule, timesteps, memory, workers, what
        What `evaluate` was called with.
    records : sequence of Record
        What it gave back.
    title, command, words : str and sequence of str
        For the reader: a line, the command, paragraphs.
    shown, ranked_by : sequence of str and str, or None
        Keys of the heads whose predictions are kept, and of the one that decides which image is best; None chooses as
        `tedm.study.report.examples.shown_heads` does.
    empty : {"leave-out", "count"}
        What an image counts whose truth does not show a class; see `tedm.heads.summarise`.
    originals : Originals or None
        The images' own files: then images, truths and masks are kept at the images' size; else as they were scored.

    Raises
    ------
    TedmError
        If the folder is taken or cannot be written, or the records cannot be summarised.
    """
    table = summarise(records, empty=empty)
    called = names_in_records(heads, rule=rule, timesteps=timesteps)
    keys = shown_heads(heads, ranked_by, names=called)
    ranking = keys[-1]
    if shown is not None:
        keys = [*(key for key in shown if key != ranking), ranking]
    dice = {key: mean_dice(records, heads[key], called[key], empty=empty) for key in keys}
    chosen = places(dice[ranking])
    names = list(dict.fromkeys(place.image for place in chosen))
    kept = {key: heads[key] for key in keys}
    predicted = predict(
        features, kept, names, rule=rule, timesteps=timesteps, memory=memory, workers=workers, what=what
    )  # read again: keeping all masks until the best is known would take memory that grows with the images
    predictions = {(prediction.name, prediction.head): prediction for prediction in predicted}
    titles = {key: head_title(called[key], training_images(heads[key])) for key in keys}
    examples = [
        _example(
            place,
            features,
            originals,
            {titles[key]: predictions[place.image, key] for key in keys},
            {titles[key]: dice[key][place.domain, place.image] for key in keys},
        )
        for place in chosen
    ]
    methods = {called[key]: identity_of(head, rule=rule, timesteps=timesteps) for key, head in heads.items()}
    csv, arrays = packed(examples, features.labels.classes)
    choice = (
        f"The best, the median and the worst image of a domain are those of {titles[ranking]}, by mean foreground Dice. "
        "Of an even number of images, the median is the better of the two in the middle; images without a score are left out."
    )
    written: tuple[str | bytes, ...] = (records_csv(records), table.to_csv(), csv, arrays, identities_csv(methods))
    about = [*about_features(features, what), *about_heads(heads, called, rule, timesteps), *about_records(records)]
    about += [(EMPTY_TRUTH, f"{empty}: {CONVENTIONS[empty]}"), (CHOICE, choice), ("command", command)]
    return write_result(
        folder,
        kind="evaluation",
        title=title or f"Evaluation on {what}",
        about=[(label, value) for label, value in about if value],
        words=words,
        files=FILES,
        content=dict(zip(FILES.values(), written, strict=True)),
    )


def read_evaluation(folder: Path) -> Evaluation:
    """Read what `write_evaluation` wrote.

    Raises
    ------
    TedmError
        If the folder holds no evaluation, no score, or is damaged.
    """
    result = read_result(folder)
    if result.kind != "evaluation" or not set(FILES) - LATER <= set(result.files):
        raise TedmError(f"{folder} holds no evaluation, but a {result.kind}; make one with {MAKERS['evaluation']}")
    records = read_records(result.path / result.files["records"])
    if not records:
        empty = result.path / result.files["records"]
        raise TedmError(f"there are no scores in {empty}; evaluate again with {MAKERS['evaluation']}")
    try:
        examples, classes = unpacked(result.rows_of(result.files["examples"]), result.bytes_of(result.files["arrays"]))
    except TedmError:
        raise
    except ValueError as error:
        raise TedmError(
            f"the examples in {folder} are damaged ({error}); write it again with {MAKERS['evaluation']}"
        ) from error
    try:
        methods = identities_from(result.rows_of(result.files["methods"])) if "methods" in result.files else {}
    except TedmError:
        raise
    except ValueError as error:
        raise TedmError(f"the methods in {folder} are damaged ({error}); write it again with {MAKERS['evaluation']}") from error
    return Evaluation(result, tuple(records), tuple(examples), classes, methods)


def convention_of_numbers(evaluation: Evaluation) -> EmptyTruth:
    """Return the convention for empty truths of the numbers in a folder; those of earlier versions do not say any."""
    said = dict(evaluation.result.about).get(EMPTY_TRUTH, "").split(":")[0]
    return next((convention for convention in CONVENTIONS if convention == said), LEAVE_OUT)


def told_apart(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return evaluations as if they had been one, in which a method's name stands for the same settings everywhere.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Those of earlier versions, which know no settings, keep their names.

    Returns
    -------
    list of Evaluation
        In the same order. Methods of one label that differ between folders are told apart as `names_of` does: the "tedm" of
        a folder becomes "tedm, members 10" beside another folder's "tedm".

    Raises
    ------
    TedmError
        If two methods would have one name although they differ.
    """
    if len(evaluations) < 2:
        return list(evaluations)
    try:
        names = names_of(identity for evaluation in evaluations for identity in evaluation.methods.values())
    except TedmError as error:
        folders = ", ".join(str(evaluation.result.path) for evaluation in evaluations)
        raise TedmError(f"the evaluations {folders} cannot be put together: {error}") from error
    return [
        _renamed(evaluation, {old: names[identity] for old, identity in evaluation.methods.items()})
        for evaluation in evaluations
    ]


def _renamed(evaluation: Evaluation, names: Mapping[str, str]) -> Evaluation:
    """Return the evaluation with other names of its methods, wherever they stand."""
    if all(old == new for old, new in names.items()):
        return evaluation

    def method(old: str) -> str:
        """Return a method's new name; cleaned masks have what was done to them behind it."""
        owner = max((name for name in names if old == name or old.startswith(f"{name}+")), key=len, default=old)
        return names.get(owner, owner) + old.removeprefix(owner)

    def title(old: str) -> str:
        name, comma, n = old.rpartition(", n = ")
        return names.get(name, name) + comma + n

    def choice(old: str) -> str:
        """Return the sentence that names the head that ranks."""
        for name, new in names.items():
            if f" are those of {name}, n = " in old:
                return old.replace(f" are those of {name}, n = ", f" are those of {new}, n = ", 1)
        return old

    labels = {f"head {old}": f"head {new}" for old, new in names.items()}
    about = [
        (labels.get(label, label), choice(value) if label == CHOICE else value) for label, value in evaluation.result.about
    ]
    examples = tuple(
        replace(
            example,
            predictions={title(old): mask for old, mask in example.predictions.items()},
            dice={title(old): dice for old, dice in example.dice.items()},
        )
        for example in evaluation.examples
    )
    return replace(
        evaluation,
        result=replace(evaluation.result, about=tuple(about)),
        records=tuple(replace(record, method=method(record.method)) for record in evaluation.records),
        examples=examples,
        methods={new: evaluation.methods[old] for old, new in names.items()},
    )


def _example(
    place: Place,
    features: Features,
    originals: Originals | None,
    predictions: Mapping[str, Prediction],
    dice: Mapping[str, float],
) -> Example:
    """Return an image at its own size where its files are known, else as it was scored."""
    if originals is not None:
        decisive = {title: each.decisive for title, each in predictions.items()}
        if (own := originals.shown(place.image, decisive)) is not None:
            return Example(place, own.picture / 255, own.truth, own.masks, dice, own_size=True)
    masks = {title: each.mask for title, each in predictions.items()}
    return Example(place, _picture(features.image(place.image)), features.mask(place.image), masks, dice)


def _picture(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """As it is shown: grey or RGB."""
    return np.asarray(image if image.shape[-1] == 3 else image[..., 0], dtype=np.float64)
