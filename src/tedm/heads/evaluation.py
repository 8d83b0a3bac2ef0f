"""An evaluation as a result folder, from which a report can be made without the store and the heads.

It holds the records, the table, what was run on what, and the best, the median and the worst image of each domain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.evaluate import name_in_records, predict
from tedm.heads.examples import Example, mean_dice, n_of, packed, places, shown_heads, title_of, unpacked
from tedm.heads.records import Record, read_records, records_csv
from tedm.heads.segmenter import Segmenter
from tedm.heads.summary import CONVENTIONS, LEAVE_OUT, EmptyTruth
from tedm.heads.table import summarise
from tedm.heads.vote import VotingRule
from tedm.heads.workers import HERE, Workers
from tedm.results import MAKERS, ResultFolder, read_result, write_result
from tedm.store import Features

# What the further files hold, and their names.
FILES = {"records": "records.csv", "table": "table.csv", "examples": "examples.csv", "arrays": "examples.npz"}
# The labels of what says which images are shown, and what an empty truth counts.
CHOICE, EMPTY_TRUTH = "images shown", "empty truth"


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation's folder holds."""

    result: ResultFolder
    records: tuple[Record, ...]
    examples: tuple[Example, ...]
    classes: tuple[int, ...]


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
        `tedm.heads.examples.shown_heads` does.
    empty : {"leave-out", "count"}
        What an image counts whose truth does not show a class; see `tedm.heads.summarise`.

    Raises
    ------
    TedmError
        If the folder is taken or cannot be written, or the records cannot be summarised.
    """
    table = summarise(records, empty=empty)
    keys = shown_heads(heads, ranked_by)
    ranking = keys[-1]
    if shown is not None:
        keys = [*(key for key in shown if key != ranking), ranking]
    dice = {key: mean_dice(records, heads[key], timesteps, empty=empty) for key in keys}
    chosen = places(dice[ranking])
    names = list(dict.fromkeys(place.image for place in chosen))
    of_keys = {key: heads[key] for key in keys}
    predicted = predict(
        features, of_keys, names, rule=rule, timesteps=timesteps, memory=memory, workers=workers, what=what
    )  # read again: keeping all masks until the best is known would take memory that grows with the images
    masks = {(prediction.name, prediction.head): prediction.mask for prediction in predicted}
    titles = {key: title_of(heads[key], timesteps) for key in keys}
    examples = [
        Example(
            place,
            _picture(features.image(place.image)),
            features.mask(place.image),
            {titles[key]: masks[place.image, key] for key in keys},
            {titles[key]: dice[key][place.domain, place.image] for key in keys},
        )
        for place in chosen
    ]
    csv, arrays = packed(examples, features.labels.classes)
    choice = (
        f"The best, the median and the worst image of a domain are those of {titles[ranking]}, by mean foreground Dice. "
        "Of an even number of images, the median is the better of the two in the middle; images without a score are left out."
    )
    written: tuple[str | bytes, ...] = (records_csv(records), table.to_csv(), csv, arrays)
    about = [*_of_features(features, what), *_of_heads(heads, rule, timesteps), *_of_records(records)]
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
    if result.kind != "evaluation" or not set(FILES) <= set(result.files):
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
    return Evaluation(result, tuple(records), tuple(examples), classes)


def _of_features(features: Features, what: str) -> list[tuple[str, str]]:
    settings, arithmetic, storage = features.settings, features.arithmetic, features.storage
    levels = ", ".join(f"{level.name} ({level.channels} channels, stride {level.stride})" for level in settings.levels)
    draws = f"{settings.draws} draw{'' if settings.draws == 1 else 's'} a timestep"
    noise = f"noise {settings.noise}, seed {settings.noise_seed}, {draws}"
    return [
        ("store", what),
        ("images", features.labels.summary()),
        ("features", f"{settings.image_size} x {settings.image_size} pixels; {levels}; {settings.upsampling} upsampling"),
        ("timesteps", f"{_listed(settings.timesteps)}; {noise}"),
        ("checkpoint", f"SHA-256 {settings.checkpoint_sha256}"),
        ("computed as", f"{arithmetic.precision} on {arithmetic.device}, kept as {storage.dtype}, {storage.layout}"),
    ]


def _of_heads(
    heads: Mapping[str, Segmenter], rule: VotingRule | None, timesteps: Sequence[int] | None
) -> list[tuple[str, str]]:
    """A line for each kind of head: those that differ in training images and seed alone share it."""
    alike: dict[tuple[str, str], list[Segmenter]] = defaultdict(list)
    for head in heads.values():
        method, used = head.method, head.timesteps(timesteps)
        members = f", {method.members} members" if method.members > 1 else ""
        voting = f"{'timesteps' if len(used) > 1 else 'timestep'} {_listed(used)}, {rule or method.vote} vote"
        learned = f"from {head.provenance.get('domain') or 'all domains'}, {head.provenance.get('split') or 'any'} split"
        words = f"{method.head}{members}, rows {method.rows}; {voting}; {learned}"
        alike[f"head {name_in_records(head, timesteps)}", words].append(head)
    lines = []
    for (label, words), group in alike.items():
        columns = {
            "n": [n_of(head) for head in group],
            "seed": [head.provenance["seed"] for head in group],
            "labels used, val included": [head.provenance["labels_used"] for head in group],
        }
        counts = "; ".join(f"{column}: {_listed(sorted(set(values)))}" for column, values in columns.items())
        lines.append((label, f"{words}; {counts}"))
    return lines


def _of_records(records: Sequence[Record]) -> list[tuple[str, str]]:
    images: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in records:
        images[record.domain or "no domain", record.split or "no split"].add(record.image)
    scored = ", ".join(f"{domain} {split}: {len(names)} images" for (domain, split), names in images.items())
    classes = sorted({record.class_value for record in records})
    background = ", the first of them the background" if len(classes) > 1 else ""
    return [("scored on", scored), ("mask values", f"{_listed(classes)}{background}")]


def _picture(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """As it is shown: grey or RGB."""
    return np.asarray(image if image.shape[-1] == 3 else image[..., 0], dtype=np.float64)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
