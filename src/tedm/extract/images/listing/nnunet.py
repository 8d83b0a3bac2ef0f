"""nnU-Net's raw data sets, and the Medical Segmentation Decathlon's, as they stand.

Both have a file `dataset.json` beside `imagesTr`, `labelsTr` and perhaps `imagesTs`, `labelsTs`. nnU-Net has a file for each
channel, `CASE_0000.nii.gz`; the Decathlon has one file a case, whose fourth axis holds the channels. Both name channels and
labels. Cases of `imagesTr` are for training, those of `imagesTs` for testing; folds are nnU-Net's own business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract.images.read import is_volume, suffix_of
from tedm.foreign import json_of
from tedm.jsons import JsonObject, JsonValue
from tedm.names import quoted
from tedm.text import listed

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
        If `dataset.json` cannot be read, names no channels or files elsewhere, or there is no channel of a name.
    """
    document = _document(folder / NAME)
    if document.get("dataset"):
        raise TedmError(f"{folder / NAME}: lists files of its own in `dataset`; list them in a manifest.csv instead")
    names, legend = _channel_names(document, folder / NAME), _legend(document, folder / NAME)
    wanted = list(range(len(names)))
    if channels:
        by_name = {name.lower(): at for at, name in enumerate(names)}
        absent = [quoted(channel) for channel in channels if channel.lower() not in by_name]
        if absent:
            raise TedmError(f"{folder / NAME}: there is no channel {absent[0]}; it has {', '.join(names)}")
        wanted = [by_name[channel.lower()] for channel in channels]
        if len(set(wanted)) < len(wanted):
            raise TedmError(
                f"{folder / NAME}: channels {', '.join(channels)} name one twice; large and small letters are the same"
            )
    problems: list[str] = []
    cases = _cases_of(folder, str(document.get("file_ending") or ""), len(names), problems)
    found = [row for case in cases for row in _row_of(case, folder, wanted, problems)]
    in_files = [case for case in cases if case.whole]
    if channels and in_files and wanted != list(range(len(names))):
        raise TedmError(
            f"{folder}: its files hold all channels ({', '.join(names)}), and {', '.join(channels)} cannot be taken out of "
            "them; leave --channels out, or save the channels as files"
        )
    called = tuple(names[at] for at in wanted) if not in_files and (channels or len(wanted) > 1) else ()
    return Found(folder, found, problems, called, [], legend, is_data_set=True)


@dataclass(frozen=True)
class _Case:
    """The files of a patient: of each channel its own by its number, or one of all channels (`whole`)."""

    name: str
    images: str
    labels: str
    split: str
    files: Mapping[int, Path]
    mask: Path | None
    whole: bool = False
    needs_mask: bool = False


def _cases_of(folder: Path, ending: str, channels: int, problems: list[str]) -> list[_Case]:
    found: list[_Case] = []
    several: bool | None = None  # whether the data set has a file for each channel, as its first part says
    for images, labels, split in PARTS:
        if not (folder / images).is_dir():
            continue
        files = list(_files_of(folder, images, ending, problems))
        masks = {stem: path for path, stem in _files_of(folder, labels, ending, problems)}
        by_case: dict[str, dict[int, Path]] = {}
        channel_of = {path: _CHANNEL.match(stem) for path, stem in files}
        if several is None:
            several = any(each and (each["case"] in masks or not masks) for each in channel_of.values())
        for path, stem in files:
            matched = channel_of[path]
            if not several:
                by_case[stem] = {0: path}
            elif matched is None:
                problems.append(f"{images}/{path.name}: no channel in its name; call it {stem}_0000{suffix_of(path)}")
            else:
                by_case.setdefault(matched["case"], {})[int(matched["channel"])] = path
        for name, of_case in by_case.items():
            # colours lie in one file, as nnU-Net's reader of natural images has them
            colours = channels == 3 and list(of_case) == [0] and not is_volume(of_case[0])
            mask = masks.pop(name, None)
            needs_mask = split != "test" and (folder / labels).is_dir()
            found.append(_Case(name, images, labels, split, of_case, mask, not several or colours, needs_mask))
        problems += [f"{labels}/{path.name}: no case of this name in {images}; move it elsewhere" for path in masks.values()]
    return found


def _files_of(folder: Path, part: str, ending: str, problems: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files of a part of the data set, with their stems; those of another ending are problems."""
    for path, stem in files_of(folder / part, problems) if (folder / part).is_dir() else ():
        if path.name.endswith(ending):
            yield path, stem
        else:
            problems.append(f"{part}/{path.name}: not {ending}, as {NAME} says of its files; move it elsewhere, or mend {NAME}")


def _row_of(case: _Case, folder: Path, wanted: list[int], problems: list[str]) -> Iterator[Row]:
    where = f"{case.images}/{case.name}"
    absent = [] if case.whole else [channel for channel in wanted if channel not in case.files]
    if absent:
        there = listed(path.name for path in case.files.values())
        problems.append(f"{where}: its channel {absent[0]:04d} is not there; there is {there}")
    elif case.mask is None and case.needs_mask:
        problems.append(f"{where}: no {case.name} in {case.labels}; add it, or move the case to imagesTs")
    else:
        image, *more = [case.files[0]] if case.whole else [case.files[channel] for channel in wanted]
        domain = folder.resolve().name
        yield Row(where, case.name, image, case.mask, case.split, case.name, "", domain, UNSAID - {"split"}, tuple(more))


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
    """Return the names of labels: nnU-Net has {"background": 0}, the Decathlon {"0": "background"}.

    The label that nnU-Net calls `ignore` is none: its pixels have no label.
    """
    labels: JsonValue = document.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        return NO_LEGEND
    names: dict[int, str] = {}
    for key, value in labels.items():
        called, number = (value, key) if re.fullmatch(r"\d{1,6}", str(key)) and isinstance(value, str) else (key, value)
        if isinstance(number, list | dict):
            raise TedmError(
                f"{path}: label {quoted(str(called))} is a region of several values; give each value a name of its own"
            )
        if isinstance(number, bool) or not re.fullmatch(r"\d{1,6}", str(number)) or int(str(number)) in names:
            raise TedmError(
                f"{path}: label {quoted(str(called))} has the value {json.dumps(number)[:20]}; give each its own whole number"
            )
        if problem := problem_of_name(str(called), names):
            raise TedmError(f"{path}: label {number}: {problem}")
        names[int(str(number))] = str(called)
    ignore = next((value for value, name in names.items() if name == "ignore"), None)
    return Legend(dict(sorted(names.items())), {}, str(path), ignore)
