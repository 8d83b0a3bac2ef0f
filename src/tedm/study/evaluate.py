"""Heads scored on a store, and all that is written of it: the table, the records, a folder for a report, the calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tedm.errors import TedmError
from tedm.files import PLACE, new_folder, place_of, require_writable, reserved, write_whole
from tedm.heads import (
    BY_SURFACE,
    HERE,
    LEAVE_OUT,
    Cleaning,
    Correction,
    EmptyTruth,
    HeadReliability,
    Metric,
    Record,
    Segmenter,
    Table,
    VotingRule,
    Workers,
    evaluate,
    reliability,
    require_measured_at,
    require_one_count,
    summarise,
    write_records,
)
from tedm.store import Features
from tedm.study.remarks import differences_from_store, remarks_on_votes
from tedm.study.stages import Log, Stages, mute, silent
from tedm.text import listed

if TYPE_CHECKING:
    from tedm.study.originals import Originals

# How a table is written, by the ending of its file.
RENDERINGS: Mapping[str, Callable[[Table], str]] = {
    ".csv": Table.to_csv,
    ".md": Table.to_markdown,
    ".tex": Table.to_latex,
    ".txt": Table.to_text,
}


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gave.

    Parameters
    ----------
    records : tuple of Record
        The scores of every image, head and class.
    table : Table
    reliability : tuple of HeadReliability
        How sure each head is and how often right; empty if the calibration was not asked for.
    """

    records: tuple[Record, ...]
    table: Table
    reliability: tuple[HeadReliability, ...] = ()


def evaluate_heads(
    features: Features,
    heads: Mapping[str, Segmenter],
    *,
    split: str | None = "test",
    domain: str | None = None,
    by_domain: bool = True,
    metric: Metric = "dice",
    empty: EmptyTruth = LEAVE_OUT,
    by_class: bool = False,
    correction: Correction = "holm",
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    cleaning: Cleaning | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    truth: Path | None = None,
    ignore: int | None = None,
    distances: bool = False,
    tolerance: float | None = None,
    edges: bool = False,
    command: str = "",
    table_file: Path | None = None,
    records_file: Path | None = None,
    folder: Path | None = None,
    originals: Originals | None = None,
    calibration_folder: Path | None = None,
    progress: Stages = silent,
    log: Log = mute,
) -> Evaluated:
    """Score heads on labelled images and write what is asked for.

    Parameters
    ----------
    features, heads, split, domain, rule, timesteps, cleaning, memory, workers, what
        See `tedm.heads.evaluate`.
    by_domain : bool
        Whether the table has a part for each domain, or one for all images together.
    metric, empty, by_class, correction
        See `tedm.heads.summarise`.
    truth : Path or None
        Where the volumes' masks are (a manifest, a folder, a data set): then whole volumes are scored, at their own resolution,
        and pictures are left out, which is said. None scores image by image at feature resolution.
    ignore : int or None
        Of these masks: the value of voxels without a label.
    distances : bool
        Of volumes: also measure distances between surfaces (HD95, NSD). They are measured when `metric` is one of them.
    tolerance : float or None
        Millimetres that a surface may be off; see `tedm.heads.surface_scores`.
    edges : bool
        Of volumes: whether masks follow the edges of the volumes' own files.
    command : str
        What the folder says of how it was made.
    table_file : Path or None
        Where the table is written, as CSV, Markdown, LaTeX or text by the ending: .csv, .md, .tex or .txt.
    records_file : Path or None
        Where the scores of every image and class are written, as CSV.
    folder : Path or None
        A new folder for a report; see `write_evaluation`.
    originals : Originals or None
        The images' own files, for the folder's pictures.
    calibration_folder : Path or None
        A new folder for how sure the heads are and how often right; see `write_calibration`. Reading is a pass of its own.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    Evaluated

    Raises
    ------
    TedmError
        As `tedm.heads.evaluate` does, or if a place is taken or cannot be written.
    """
    distances = distances or metric in BY_SURFACE
    if truth is None:
        require_measured_at("feature", metric)
        if distances or tolerance is not None:
            raise TedmError("distances between surfaces are for whole volumes; name their masks with --volumes MANIFEST")
        if edges:
            raise TedmError("--edges is of images at their own size, and these scores are at feature resolution: leave it out")
        if ignore is not None:
            raise TedmError("--ignore is of the masks that --volumes MANIFEST names; the store knows which of its pixels count")
    elif tolerance is not None and not distances:
        raise TedmError("--tolerance is of distances between surfaces, and none is measured; give --distances or --metric nsd")
    elif folder is not None or calibration_folder is not None:
        raise TedmError("--folder and --calibration are for scores image by image: run them without --volumes")
    require_one_count((key, head.provenance.n_counts) for key, head in heads.items())
    if table_file is not None and table_file.suffix not in RENDERINGS:
        raise TedmError(f"{table_file}: the ending of a table must be one of {listed(RENDERINGS)}")
    _require_apart({"--out": table_file, "--records": records_file, "--folder": folder, "--calibration": calibration_folder})
    require_writable(table_file, what="the table", remedy="name another place with --out")
    require_writable(records_file, what="the records", remedy="name another place with --records")
    with reserved(folder, what="the result"), reserved(calibration_folder, what="the calibration"):
        for remark in (*differences_from_store(features, heads.values()), *remarks_on_votes(heads, rule, timesteps)):
            log(remark)
        with progress("evaluating") as show:
            if truth is None:
                records = evaluate(
                    features,
                    heads,
                    split=split,
                    domain=domain,
                    rule=rule,
                    timesteps=timesteps,
                    memory=memory,
                    workers=workers,
                    what=what,
                    progress=show,
                    cleaning=cleaning,
                )
            else:
                from tedm.study.volume_scores import score_volumes  # with all readers of images

                records = score_volumes(
                    features,
                    heads,
                    truth,
                    ignore=ignore,
                    split=split,
                    domain=domain,
                    rule=rule,
                    timesteps=timesteps,
                    memory=memory,
                    workers=workers,
                    what=what,
                    progress=show,
                    cleaning=cleaning,
                    distances=distances,
                    tolerance=tolerance,
                    edges=edges,
                    log=log,
                )
        if not by_domain:
            records = [replace(record, domain="all") for record in records]
        if records_file is not None:
            write_records(records, records_file)
        table = summarise(records, metric=metric, empty=empty, by_class=by_class, correction=correction)
        if folder is not None:
            from tedm.study.report.evaluation import write_evaluation

            write_evaluation(
                folder,
                features,
                heads,
                records,
                command=command,
                rule=rule,
                timesteps=timesteps,
                memory=memory,
                what=what,
                empty=empty,
                originals=originals,
            )
        if table_file is not None:
            content = RENDERINGS[table_file.suffix](table).encode()
            write_whole(table_file, content, what="the table", remedy="name another place with --out")
        if calibration_folder is None:
            return Evaluated(tuple(records), table)
        with progress("measuring calibration") as show:
            measured = reliability(
                features,
                heads,
                split=split,
                domain=domain,
                rule=rule,
                timesteps=timesteps,
                memory=memory,
                workers=workers,
                what=what,
                progress=show,
            )
        with new_folder(calibration_folder, what="the calibration", remedy=PLACE) as aside:
            from tedm.study.report.calibration import write_calibration

            write_calibration(measured, aside)
        return Evaluated(tuple(records), table, tuple(measured))


def _require_apart(places: Mapping[str, Path | None]) -> None:
    """Refuse two outputs at one place: the second would replace the first."""
    seen: dict[Path, str] = {}
    for option, path in places.items():
        if path is None or path.is_char_device():
            continue
        first = seen.setdefault(place_of(path), option)
        if first != option:
            raise TedmError(f"{first} and {option} both name {path}; give each a place of its own")
