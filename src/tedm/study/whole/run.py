"""Images to features, a head, scores, masks and a report: each step is done, gone on with, or there.

A run that was stopped goes on when the same call is made again, and one that is finished does nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tedm.devices import choose_device
from tedm.errors import TedmError
from tedm.extract import Backbone, extract, extract_views
from tedm.extract.images import Manifest
from tedm.files import discard, make_folder, write_whole
from tedm.heads import Method, Segmenter, Table, load_head, read_records, summarise
from tedm.jsons import JsonObject
from tedm.networks.pretrained import Pretrained
from tedm.store import FeatureStore
from tedm.store.fingerprints import digest_of_masks
from tedm.store.settings import Geometry
from tedm.store.splits import labelled_images
from tedm.store.volumes.normalisation import Normalisation
from tedm.study.evaluate import evaluate_heads
from tedm.study.fit import FEW, absent_classes, fit_folder, fit_remarks, fit_summary, method_remarks, with_views_there
from tedm.study.masks.overlays import FOLDER as OVERLAYS
from tedm.study.originals import Originals
from tedm.study.predict import predict_folder
from tedm.study.report.report import write_report
from tedm.study.stages import Log, Stages, mute, silent
from tedm.study.whole.plan import Places, rest_of
from tedm.text import counted, listed
from tedm.threads import torch_threads

Device = Literal["auto", "cpu", "cuda"]
REMEDY = "make room, and run the same command again"
TIMESTEPS = (1, 10, 25, 50, 200, 400, 600, 800)  # of a store for a method that reads none


@dataclass(frozen=True)
class Whole:
    """What a run has made.

    Parameters
    ----------
    places : Places
    table : Table or None
        The scores on the test images, of volumes slice by slice; None where there is none.
    volumes : Table or None
        The scores on whole test volumes at their own resolution; None where there is none.
    masks : int
        Images and volumes whose masks are there.
    """

    places: Places
    table: Table | None
    volumes: Table | None
    masks: int


def run_whole(
    manifest: Manifest,
    places: Places,
    backbone: Backbone,
    method: Method,
    *,
    any_method: bool = False,
    start: Pretrained | None = None,
    truth: Path | None = None,
    ignore: int | None = None,
    geometry: Geometry = "pad",
    intensity_range: tuple[float, float] | None = None,
    normalisation: Normalisation | None = None,
    edges: bool = False,
    checkpoint_name: str = "",
    command: str = "",
    device: Device = "auto",
    threads: int | None = None,
    memory: int | None = None,
    progress: Stages = silent,
    log: Log = mute,
) -> Whole:
    """Do what is missing: extract, fit, evaluate where there are labelled test images, predict the rest, report.

    Parameters
    ----------
    manifest : Manifest
        What `read_images` gives.
    places : Places
    backbone : Backbone
    method : Method
        How the head is fitted.
    any_method : bool
        Whether a head of another method that is there is as good, because nobody asked for this one.
    start : Pretrained or None
        Weights that the fit starts from, for methods that do.
    truth : Path or None
        What the manifest was read from. Whole volumes are scored against the files of masks that it names; None scores slices
        only.
    ignore : int or None
        Of these masks: the value of voxels without a label.
    geometry, intensity_range, normalisation
        See `tedm.extract.extract`.
    edges : bool
        Whether masks follow the edges of the images, and scores of whole volumes are of such; see `tedm.study.predict_folder`.
    checkpoint_name, command : str
        What the store and the report say of how they were made.
    device : {"auto", "cpu", "cuda"}
    threads, memory
        See `tedm.study.run_study`.
    progress, log
        See `tedm.study.stages`; a line for each step.

    Returns
    -------
    Whole

    Raises
    ------
    TedmError
        As the steps do; what is done stays done.
    """
    _require_method(places, method, any_method)
    make_folder(places.out)
    with torch_threads(threads):
        store = _features(
            manifest, places, backbone, method, geometry, intensity_range, normalisation, checkpoint_name, device, threads,
            progress, log,
        )  # fmt: skip
        head = _head(store, places, method, any_method, start, device, memory, progress, log)
        made_by = _digest(places.head)
        originals = Originals(manifest, store)
        table = _scores(store, places, head, made_by, originals, command, memory, progress, log)
        made_by = f"{made_by} with edges" if edges else made_by
        volumes = _volume_scores(store, places, head, made_by, truth, ignore, edges, memory, progress, log)
        masks = _masks(store, places, head, made_by, originals, edges, device, progress, log)
    if table is None:
        log("report: none, since there are no scores")
    elif not places.report.exists():
        write_report([places.scores], places.report)
        log(f"report: {places.report}")
    else:
        log(f"report: {places.report} is there")
    return Whole(places, table, volumes, masks)


def _features(
    manifest: Manifest,
    places: Places,
    backbone: Backbone,
    method: Method,
    geometry: Geometry,
    intensity_range: tuple[float, float] | None,
    normalisation: Normalisation | None,
    checkpoint_name: str,
    device: Device,
    threads: int | None,
    progress: Stages,
    log: Log,
) -> FeatureStore:
    there = FeatureStore.open(places.features) if FeatureStore.is_store(places.features) else None
    timesteps = there.settings.timesteps if there is not None else tuple(sorted(method.timesteps)) or TIMESTEPS
    backbone = backbone.choose(None) if there is None else backbone.with_levels([each.name for each in there.settings.levels])
    with progress("extracting") as show:
        done = extract(
            manifest,
            places.features,
            backbone,
            timesteps=timesteps,
            layout="native",
            geometry=geometry,
            intensity_range=intensity_range,
            normalisation=normalisation,
            device=device,
            threads=threads,
            provenance={"checkpoint": checkpoint_name},
            progress=show,
            log=log,
        )
    learned = labelled_images(done.store.labels, split="train", domain=None)
    if method.views and len(learned) <= FEW and not _is_head(places.head):  # a head that is there has learned
        with progress("extracting views") as show:
            extract_views(done.store, backbone, method.views, device=device, threads=threads, progress=show)
    log(f"features: {counted(done.computed, 'image')} extracted, {done.reused} were there")
    return done.store


def _head(
    store: FeatureStore,
    places: Places,
    method: Method,
    any_method: bool,
    start: Pretrained | None,
    device: Device,
    memory: int | None,
    progress: Stages,
    log: Log,
) -> Segmenter:
    where = choose_device(device)
    if _is_head(places.head):
        head = load_head(places.head, device=where)
        head.require(store, what=str(places.features))
        learned = labelled_images(store.labels, split="train", domain=None)
        new = set(learned) - set(head.provenance.images)
        if not new and _recorded(places).get("learned", now := digest_of_masks(store, learned)) != now:
            log(f"note: masks of training images have changed since the head was fitted; delete {places.head} to fit anew")
        if new:
            log(f"note: {counted(len(new), 'labelled image')} came after the head was fitted; delete {places.head} to fit anew")
        log(f"head: {places.head} is there, {fit_summary(head)}")
        return head
    method = with_views_there(store, method)
    for remark in method_remarks(method, named=not any_method):
        log(remark)
    with progress("fitting") as show:
        head = fit_folder(places.head, store, method, start=start, device=where, memory=memory, progress=show)
    _record(places, "learned", digest_of_masks(store, labelled_images(store.labels, split="train", domain=None)))
    for remark in (*fit_remarks(head), *absent_classes(store, head)):
        log(remark)
    log(f"head: {fit_summary(head)}")
    return head


def _is_head(folder: Path) -> bool:
    return (folder / "head.json").is_file()


def _require_method(places: Places, method: Method, any_method: bool) -> None:
    """Refuse a folder whose head, or features, are for another method than the one that is asked for, before any work."""
    if not _is_head(places.head):
        has = FeatureStore.open(places.features).settings.timesteps if FeatureStore.is_store(places.features) else None
        if absent := [] if has is None else [each for each in method.timesteps if each not in has]:
            raise TedmError(
                f"{places.features} has timesteps {listed(has or ())}, and {method.name} reads {listed(absent)} too; ask with "
                "--method for the method that it was extracted for, or name another folder"
            )
        return
    there = method.name if any_method else load_head(places.head).method.name
    if there != method.name:
        raise TedmError(
            f"{places.head} is a head of {there}, and {method.name} is asked for; leave out --method, or name another folder"
        )


def _scores(
    store: FeatureStore,
    places: Places,
    head: Segmenter,
    made_by: str,
    originals: Originals,
    command: str,
    memory: int | None,
    progress: Stages,
    log: Log,
) -> Table | None:
    """Score the head on the labelled test images, unless scores of this head on these images are there."""
    tested = labelled_images(store.labels, split="test", domain=None)
    if not tested:
        log("scores: none, since no labelled image is of the split test")
        return None
    made_by = f"{made_by} {digest_of_masks(store, tested)}"
    if places.scores.exists():
        records = read_records(places.scores / "records.csv")
        if _recorded(places).get("scores") == made_by and {record.image for record in records} == set(tested):
            log(f"scores: {places.scores} is there, of {counted(len(tested), 'image')}")
            return summarise(records)
        log("note: the scores that were there are of another head, other images or other masks; they are made anew")
        discard(places.scores)
    discard(places.report)
    _record(places, "scores", made_by)  # before they are there: what has no record is not ours
    evaluated = evaluate_heads(
        store,
        {"head": head},
        memory=memory,
        what=str(places.features),
        command=command,
        folder=places.scores,
        originals=originals,
        progress=progress,
        log=log,
    )
    log(f"scores: of {counted(len(tested), 'image')} in {places.scores}")
    return evaluated.table


def _volume_scores(
    store: FeatureStore,
    places: Places,
    head: Segmenter,
    made_by: str,
    truth: Path | None,
    ignore: int | None,
    edges: bool,
    memory: int | None,
    progress: Stages,
    log: Log,
) -> Table | None:
    """Score the head on whole test volumes, unless scores of this head on these volumes are there; None where there is none."""
    labelled = labelled_images(store.labels, split="test", domain=None)
    tested = {volume.name for name in labelled if (volume := store.labels.volume_of(name))}
    if not tested or truth is None:
        return None
    made_by = f"{made_by} {digest_of_masks(store, labelled)}"
    file = places.volume_scores
    if file.exists():
        records = read_records(file)
        if _recorded(places).get("volumes") == made_by and {record.image for record in records} == tested:
            log(f"scores of whole volumes: {file} is there, of {counted(len(tested), 'volume')}")
            return summarise(records)
        log("note: the scores of whole volumes that were there are of another head, volumes or masks; they are made anew")
        discard(file)
    _record(places, "volumes", made_by)
    evaluated = evaluate_heads(
        store,
        {"head": head},
        truth=truth,
        ignore=ignore,
        edges=edges,
        memory=memory,
        what=str(places.features),
        records_file=file,
        progress=progress,
        log=log,
    )
    log(f"scores of whole volumes: of {counted(len(tested), 'volume')} at their own resolution in {file}")
    return evaluated.table


def _masks(
    store: FeatureStore,
    places: Places,
    head: Segmenter,
    made_by: str,
    originals: Originals,
    edges: bool,
    device: Device,
    progress: Stages,
    log: Log,
) -> int:
    """Make the masks that are missing; each lies in its place when it is whole."""
    labels, names = store.labels, rest_of(store.labels)
    wanted = {volume.name if (volume := labels.volume_of(name)) else name for name in names}
    made_of = f"{made_by} {hashlib.sha256(chr(0).join(names).encode()).hexdigest()}"
    if places.masks.exists() and _recorded(places).get("masks") != made_of:
        log("note: the masks that were there are of another head, other images or other edges; they are made anew")
        discard(places.masks)
    _record(places, "masks", made_of)
    if not wanted:
        log("masks: none, since every image has one and none is of the split test")
        return 0
    predict_folder(
        places.masks,
        head,
        places.features,
        names=names,
        edges=edges,
        overlay=True,
        originals=originals,
        device=device,
        head_name=str(places.head),
        progress=progress,
        log=log,
    )
    log(f"masks: {len(wanted)} in {places.masks}, drawn over their images in {places.masks / OVERLAYS}")
    return len(wanted)


def _digest(folder: Path) -> str:
    """Return the SHA-256 of the files of a head."""
    digest = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _recorded(places: Places) -> JsonObject:
    try:
        record = json.loads(places.record.read_text())
    except (OSError, ValueError):
        record = None  # then all is made anew
    return record if isinstance(record, dict) else {}


def _record(places: Places, what: str, made_by: str) -> None:
    """Write down of which head something is."""
    record = {**_recorded(places), what: made_by}
    write_whole(places.record, f"{json.dumps(record, indent=1)}\n".encode(), what="the record", remedy=REMEDY)
