"""Which images to annotate next, and a folder that helps whoever draws their masks.

The folder has the ranking of all images with all scores, a picture of the first, and these as a manifest that lacks nothing but
masks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract import read_manifest
from tedm.extract.images import VolumeOptions
from tedm.files import new_folder, require_new, reserved, write_table
from tedm.heads import RankBy, Ranked, Segmenter, VotingRule, candidates, predict, rank
from tedm.show import ranking_sheet, save
from tedm.store import Features, Labels
from tedm.study.remarks import differences_from_store
from tedm.study.stages import Log, Stages, mute, silent

# What an image that comes first has, by the score that a ranking is by.
FIRST_HAS: Mapping[RankBy, str] = {
    "entropy": "the head is least sure of it",
    "disagreement": "its timesteps disagree most about it",
    "peak": "the head is least sure of a part of it",
    "border": "the head is least sure where a structure ends in it",
    "elsewhere": "the head is least sure of it away from borders",
    "distance": "it is least like the labelled images",
    "cover": "it stands for most of the others",
}
FIRST = 10  # chosen and drawn, where there are as many
REMEDY = "make room, and run the same command again"


@dataclass(frozen=True)
class Chosen:
    """A ranking of images, and how many of the first are chosen.

    Parameters
    ----------
    ranking : tuple of Ranked
        All images, best first.
    top : int
    """

    ranking: tuple[Ranked, ...]
    top: int

    @property
    def first(self) -> tuple[Ranked, ...]:
        """The images that are chosen."""
        return self.ranking[: self.top]


def choose_next(
    features: Features,
    head: Segmenter,
    *,
    by: RankBy = "cover",
    top: int | None = None,
    diverse: bool = True,
    split: str | None = None,
    domain: str | None = None,
    labelled: bool = False,
    images: Path | None = None,
    folder: Path | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    what: str = "the store",
    progress: Stages = silent,
    log: Log = mute,
) -> Chosen:
    """Order images by what would teach a head most, and write a folder for whoever annotates the first.

    Parameters
    ----------
    features, head, by, diverse, rule, timesteps, memory, what
        See `tedm.heads.rank`.
    top : int or None
        How many are chosen; None takes ten, or as many as there are.
    split, domain, labelled
        Which images; see `tedm.heads.candidates`.
    images : Path or None
        Manifest or folder of the images, for their paths in the folder.
    folder : Path or None
        Not there yet, or empty; see `write_ranking`. None writes nothing.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    Chosen

    Raises
    ------
    TedmError
        As `tedm.heads.candidates` and `tedm.heads.rank` do, or if the folder is taken or cannot be written.
    """
    if folder is None and images is not None:
        raise TedmError("--images is for annotate-next.csv; name a folder for it with --out")
    if folder is not None:
        require_new(folder)
    for remark in differences_from_store(features, [head]):
        log(remark)
    paths = {} if images is None else paths_of_images(images, features.labels, features.settings.channel_names)
    names = candidates(features, head, split=split, domain=domain, labelled=labelled)
    if top is not None and top > len(names):
        raise TedmError(f"--top {top} is above the {len(names)} images that there are to rank; ask for at most {len(names)}")
    top = min(FIRST, len(names)) if top is None else top
    with reserved(folder, what="the ranking", remedy=REMEDY):
        with progress("ranking") as show:
            ranking = rank(
                features,
                head,
                names,
                by=by,
                diverse=diverse,
                top=top,
                rule=rule,
                timesteps=timesteps,
                memory=memory,
                what=what,
                progress=show,
            )
        chosen = Chosen(tuple(ranking), top)
        if folder is not None:
            write_ranking(folder, features, head, chosen, by=by, paths=paths, rule=rule, timesteps=timesteps, memory=memory)
    return chosen


def write_ranking(
    folder: Path,
    features: Features,
    head: Segmenter,
    chosen: Chosen,
    *,
    by: RankBy = "cover",
    paths: Mapping[str, Path] | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
) -> None:
    """Write ranking.csv, ranking.png and annotate-next.csv, whole or not at all.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    features, head, by, rule, timesteps, memory
        What the ranking was made with.
    chosen : Chosen
    paths : mapping of str to Path, or None
        Files of images; an image without one stands in annotate-next.csv by its name.

    Raises
    ------
    TedmError
        If the folder is taken or cannot be written.
    """
    with new_folder(folder, what="the ranking", remedy=REMEDY) as aside:
        rows = [["rank", *_columns()], *([str(n), *_entries(each)] for n, each in enumerate(chosen.ranking, 1))]
        write_table(aside / "ranking.csv", rows, remedy=REMEDY)
        _draw(aside / "ranking.png", features, head, chosen.first, by, rule, timesteps, memory)
        write_table(aside / "annotate-next.csv", _template(folder, chosen.first, paths or {}), remedy=REMEDY)


def shown_scores(by: str) -> list[str]:
    """Return the scores that are printed and drawn: the one that a ranking is by, and those that everybody asks for."""
    return list(dict.fromkeys([by, "entropy", "disagreement", "cover"]))[:3]


def order_in_words(by: RankBy, *, diverse: bool) -> str:
    """Say why a ranking is in its order, a clause.

    Parameters
    ----------
    by : {"entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"}
        The score that it is by.
    diverse : bool
        Whether the first are chosen one after the other.

    Examples
    --------
    >>> order_in_words("entropy", diverse=False)
    'an image comes first where the head is least sure of it (entropy)'
    """
    why = f"an image comes first where {FIRST_HAS[by]} ({by})"
    return f"{why}, and is unlike those before it and the labelled ones" if diverse else why


def paths_of_images(images: Path, labels: Labels, channels: tuple[str, ...] = ()) -> dict[str, Path]:
    """Return the file of each picture of a manifest or folder, by its name; what the labels know is not opened again.

    A slice of a volume has no file of its own: it is known by its name, and its mask may be a picture of its size.
    """
    options = VolumeOptions(channels=channels)
    entries = read_manifest(images, known=labels, options=options).entries
    return {entry.name: entry.image for entry in entries if entry.volume is None}


def _columns() -> list[str]:
    return ["image" if field.name == "name" else field.name for field in fields(Ranked)]


def _entries(ranked: Ranked) -> list[str]:
    return [f"{value:.6f}" if isinstance(value, float) else str(value) for value in astuple(ranked)]


def _template(folder: Path, first: Sequence[Ranked], paths: Mapping[str, Path]) -> list[list[str]]:
    """Return a manifest that lacks nothing but masks; its paths are relative to the folder that it will lie in."""
    rows = [["name", "image", "mask", "split", "group", "domain"]]
    for each in first:
        image = os.path.relpath(paths[each.name].resolve(), folder.resolve()) if each.name in paths else each.name
        rows.append([each.name, image, "", each.split or "train", each.group, each.domain])
    return rows


def _draw(
    path: Path,
    features: Features,
    head: Segmenter,
    first: Sequence[Ranked],
    by: RankBy,
    rule: VotingRule | None,
    timesteps: Sequence[int] | None,
    memory: int | None,
) -> None:
    """Draw the sheet: the chosen images are predicted once more, so that no picture is kept of those that are not drawn."""
    names = [each.name for each in first]
    drawn = list(predict(features, {"head": head}, names, rule=rule, timesteps=timesteps, memory=memory, uncertainty=True))
    images = [features.image(name) for name in names]
    figure = ranking_sheet(
        [image if image.shape[-1] == 3 else image[..., 0] for image in images],
        [each.mask for each in drawn],
        [each.entropy for each in drawn if each.entropy is not None],
        names,
        head.classes,
        captions=[", ".join(f"{name} {getattr(each, name):.2f}" for name in shown_scores(by)) for each in first],
    )
    save(figure, path)
