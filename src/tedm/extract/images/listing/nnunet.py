"""nnU-Net's raw data sets, and the Medical Segmentation Decathlon's, as they stand.

Both have a file `dataset.json` beside `imagesTr`, `labelsTr` and perhaps `imagesTs`, `labelsTs`. nnU-Net (version 2) has a file
for each channel, `CASE_0000.nii.gz`, and names channels and labels; the Decathlon has one file a case, whose fourth axis holds
the channels. Cases of `imagesTr` are for training, those of `imagesTs` for testing; folds are nnU-Net's own business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tedm.errors import TedmError
from tedm.foreign import json_of
from tedm.jsons import JsonObject, JsonValue
from tedm.names import quoted

from .found import Found
from .legend import NO_LEGEND, Legend, problem_of_name
from .rows import UNSAID, Row, files_of

NAME = "dataset.json"
PARTS = (("imagesTr", "labelsTr", "train"), ("imagesVal", "labelsVal", "val"), ("imagesTs", "labelsTs", "test"))
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})$")


def recognises(folder: Path) -> bool:
    """Whether a folder is such a data set."""
    return (folder / "imagesTr").is_dir() and (folder / NAME).is_file()


def rows(folder: Path, channels: tuple[str, ...]) -> Found:
    """Return the cases of a data set as rows.

    Parameters
    ----------
    folder : Path
    channels : tuple of str
        Some of the channels by their names, in the order wanted; empty takes all, in the data set's order.

    Raises
    ------
    TedmError
        If `dataset.json` cannot be read or names no channels, or there is no channel of a name.
    """
    document = _document(folder / NAME)
    names = _channel_names(document, folder / NAME)
    wanted = list(range(len(names)))
    if channels:
        by_name = {name.lower(): at for at, name in enumerate(names)}
        absent = [channel for channel in channels if channel.lower() not in by_name]
        if absent:
            raise TedmError(f"{folder / NAME}: there is no channel {absent[0]}; it has {', '.join(names)}")
        wanted = [by_name[channel.lower()] for channel in channels]
    ending = document.get("file_ending")
    problems: list[str] = []
    found = [
        row
        for images, labels, split in PARTS
        if (folder / images).is_dir()
        for row in _rows(folder, images, labels, split, wanted, str(ending or ""), problems)
    ]
    in_files = len(names) > 1 and any(not row.more for row in found)
    remarks = [f"{folder}: channels {', '.join(names)} are volumes of one file each: --channels-in-file reads them"] * in_files
    called = tuple(names[at] for at in wanted) if len(wanted) > 1 and not in_files else ()
    return Found(folder, found, problems, called, remarks, _legend(document, folder / NAME), is_data_set=True)


def _rows(
    folder: Path, images: str, labels: str, split: str, wanted: list[int], ending: str, problems: list[str]
) -> Iterator[Row]:
    cases: dict[str, dict[int, Path]] = {}
    for path, stem in files_of(folder / images, problems):
        if ending and not path.name.endswith(ending):
            problems.append(f"{images}/{path.name}: no {ending}, as {NAME} says; move it elsewhere")
            continue
        matched = _CHANNEL.match(stem)
        case, channel = (matched["case"], int(matched["channel"])) if matched else (stem, 0)
        cases.setdefault(case, {})[channel] = path
    masks = {stem: path for path, stem in files_of(folder / labels, problems)} if (folder / labels).is_dir() else {}
    for case, files in cases.items():
        where = f"{images}/{case}"
        mask = masks.pop(case, None)
        whole = len(files) == 1 and not _CHANNEL.match(_stem(files))  # a file with all channels
        absent = [] if whole else [channel for channel in wanted if channel not in files]
        if absent:
            problems.append(f"{where}: its channel {absent[0]:04d} is not there; there are {_listed(files)}")
            continue
        if mask is None and split != "test":
            problems.append(f"{where}: no {case} in {labels}; add it, or move the case to imagesTs")
            continue
        image, *more = [next(iter(files.values()))] if whole else [files[channel] for channel in wanted]
        yield Row(where, case, image, mask, split, case, "", folder.resolve().name, UNSAID - {"split"}, tuple(more))
    problems += [f"{labels}/{path.name}: no case of this name in {images}; move it elsewhere" for path in masks.values()]


def _stem(files: Mapping[int, Path]) -> str:
    from tedm.extract.images.read import stem_of

    return stem_of(next(iter(files.values())))


def _listed(files: Mapping[int, Path]) -> str:
    return ", ".join(path.name for path in files.values())


def _document(path: Path) -> JsonObject:
    try:
        document = json_of(path)
    except (OSError, ValueError) as error:
        raise TedmError(f"{path}: cannot be read as JSON ({error}); see nnU-Net's description of {NAME}") from None
    if not isinstance(document, dict):
        raise TedmError(f"{path}: no object; see nnU-Net's description of {NAME}")
    return dict(document)


def _channel_names(document: JsonObject, path: Path) -> list[str]:
    """Return the channels in their order; nnU-Net calls them `channel_names`, the Decathlon `modality`."""
    names: JsonValue = document.get("channel_names", document.get("modality"))
    if isinstance(names, Mapping) and names and all(re.fullmatch(r"\d{1,4}", str(key)) for key in names):
        by_number = {int(str(key)): str(value) for key, value in names.items()}
        listed = [by_number[key] for key in sorted(by_number)]
        if sorted(by_number) == list(range(len(by_number))) and len({name.lower() for name in listed}) == len(listed):
            return listed
    raise TedmError(
        f'{path}: its channels are not named {{"0": "T1", "1": "FLAIR"}}, each with another name; mend `channel_names` '
        "(of the Decathlon: `modality`)"
    )


def _legend(document: JsonObject, path: Path) -> Legend:
    """Return the names of labels: nnU-Net has {"background": 0}, the Decathlon {"0": "background"}."""
    labels: JsonValue = document.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        return NO_LEGEND
    names: dict[int, str] = {}
    for key, value in labels.items():
        if key == "ignore":
            continue  # no class: masks that hold it are refused, until --ignore names its value
        called, number = (value, key) if re.fullmatch(r"\d{1,6}", str(key)) and isinstance(value, str) else (key, value)
        if isinstance(number, list | dict):
            raise TedmError(
                f"{path}: label {quoted(str(called))} is a region of several values; give each value a name of its own"
            )
        if not re.fullmatch(r"\d{1,6}", str(number)) or int(str(number)) in names:
            raise TedmError(
                f"{path}: label {quoted(str(called))} has the value {json.dumps(number)[:20]}; give each its own whole number"
            )
        if problem := problem_of_name(str(called)):
            raise TedmError(f"{path}: label {number}: {problem}")
        names[int(str(number))] = str(called)
    return Legend(dict(sorted(names.items())), {}, str(path))
