"""Extraction: every missing image of a manifest into a store, once.

A store that is there is continued if it was made with the same settings and the same arithmetic, and refused otherwise.
Reading, computing and writing go on at the same time; at most `tedm.extract.pipeline.images_at_once` images are before the
backbone or in it, and WAITING + `writers` behind it, however many there are.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.extract.arithmetic import FIELDS, available_cores, choose_arithmetic
from tedm.extract.arriving import Computed
from tedm.extract.backbones import Backbone
from tedm.extract.images import Manifest
from tedm.extract.live import square_image
from tedm.extract.pipeline import MADE_AT_ONCE, compute, prepared
from tedm.extract.registration import name_classes, registrations, require_images_as_trained, settled, share_of
from tedm.extract.rehearsal import rehearse, require_room, require_store
from tedm.extract.sources import compare, renew, require_classes_of
from tedm.extract.stages import Behind, Waited, pace
from tedm.jsons import JsonObject
from tedm.keywords import plain_keywords
from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Location, Storage
from tedm.store.settings import MAY_DIFFER, MUST_MATCH, Geometry, Layout, NoiseMode, StorageType, Upsampling, differences
from tedm.store.verification import to_recompute, verify
from tedm.store.volumes.normalisation import Normalisation
from tedm.threads import in_order

TEDM_TIMESTEPS = (1, 10, 25, 50, 200, 400, 600, 800)
WAITING = 1  # images that wait to be written
# Threads that write beside a GPU, each of which holds an image's activations. Pixels are compressed, and take all cores that
# they can get; native cells are only handed to the system, and more threads than these wait for Python's lock, and each other.
MOST_WRITERS: dict[Layout, int] = {"native": 4, "upsampled": 16}


@dataclass(frozen=True)
class Extracted:
    """What an extraction did.

    Parameters
    ----------
    store : FeatureStore
        The store; whole, but for the images of other shards.
    computed : int
        Images computed in this run.
    reused : int
        Images that were there already.
    """

    store: FeatureStore
    computed: int
    reused: int


@plain_keywords
def extract(
    manifest: Manifest,
    path: Location,
    backbone: Backbone,
    *,
    timesteps: Sequence[int] = TEDM_TIMESTEPS,
    layout: Layout = "upsampled",
    upsampling: Upsampling = "nearest",
    dtype: StorageType = "float16",
    noise: NoiseMode = "per-image",
    noise_seed: int = 0,
    draws: int = 1,
    geometry: Geometry = "pad",
    input_range: tuple[float, float] | None = None,
    intensity_range: tuple[float, float] | None = None,
    normalisation: Normalisation | None = None,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    threads: int | None = None,
    allow_other_arithmetic: bool = False,
    shard: tuple[int, int] | None = None,
    repair: bool = False,
    update: bool = False,
    provenance: JsonObject | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    log: Callable[[str], None] | None = None,
) -> Extracted:
    """Write the activations of a manifest's images to a store; continue a store that is there.

    Parameters
    ----------
    manifest : Manifest
        Checked images.
    path : str or Path
        The store: a folder or URL (`s3://bucket/prefix`) that does not exist yet, or a store of the same settings.
    backbone : Backbone
        The pretrained denoiser.
    timesteps : sequence of int
        Indices into alphas_cumprod; fixed at creation.
    layout, upsampling, dtype, noise, noise_seed, draws, geometry, intensity_range
        See `FeatureSettings` and `Storage`.
    normalisation : Normalisation or None
        How the numbers of volumes become intensities. Its `brain` may be left at "all" where the manifest says better; mean and
        deviation of `zscore` are computed from the training patients, or taken from the store that is continued.
    input_range : tuple of two floats or None
        What black and white are for the backbone; None takes the range that it was trained on.
    batch_size, device, precision, threads
        See `choose_arithmetic`; what is left open follows the store that is continued.
    allow_other_arithmetic : bool
        Continue a store on another kind of processor or another torch, and give up its promise of equal bytes.
    shard : tuple (i, n) or None
        Take every n-th image of the manifest, from the i-th on (i from 0 to n - 1): n runs, anywhere and at any time, take each
        image once. All of them register all images.
    repair : bool
        Read again what the store has (`tedm.store.verification`), and compute anew what is damaged.
    update : bool
        Compute anew images that are other images than those that the store has read, and take masks, splits, groups and domains
        that differ from the store's; not together with `shard`.
    log : callable (str) or None
        Takes a remark: values that fit black and white badly (before the work), masks or labels that differ from the store's
        and are not taken.
    provenance : mapping of str to JSON values, or None
        What to keep in the store beside tedm's version and the backbone's family.
    progress : callable (done, all, pace) or None
        Called after each image is written, from the thread that wrote it; `pace` says how fast it goes and who waits for whom.

    Returns
    -------
    Extracted
        The store and what was done.

    Raises
    ------
    TedmError
        For settings that the backbone or an existing store contradicts, images that changed since the store has read them
        (without `update`), a disk that is full, images that cannot be decoded (all others are finished first).
    """
    mine = share_of(manifest, shard)
    if update and shard is not None:
        raise TedmError("--update changes what all shards share: run it once without --shard")
    there = FeatureStore.open(path) if FeatureStore.is_store(path) else None
    if normalisation is not None:
        normalisation = settled(normalisation, manifest, None if there is None else there.settings.normalisation)
    for remark in (
        *require_images_as_trained(backbone, manifest.options.channels, normalisation),
        *manifest.require_intensity_range(intensity_range, channels=backbone.image_channels, normalisation=normalisation),
    ):
        if log is not None:
            log(f"note: {remark}")
    settings = FeatureSettings(
        checkpoint_sha256=backbone.sha256,
        levels=backbone.levels,
        image_size=backbone.image_size,
        image_channels=backbone.image_channels,
        geometry=geometry,
        input_range=tuple(map(float, input_range or backbone.training_range)),  # type: ignore[arg-type]
        intensity_range=intensity_range,
        upsampling=upsampling,
        noise=noise,
        noise_seed=noise_seed,
        timesteps=tuple(timesteps),
        draws=draws,
        axis=manifest.axis if there is None or manifest.axis else there.settings.axis,
        normalisation=normalisation,
        crop=manifest.options.recorded_crop,
        channel_names=manifest.options.channels,
    )
    if not settings.timesteps:
        raise TedmError("there is no timestep; --timesteps takes one or more, 1,50,200 say")
    backbone.schedule.require(settings.timesteps)
    if draws < 1:
        raise TedmError(f"--draws is {draws}; it must be at least 1")
    storage = Storage(layout, dtype)
    require_room(path, there, settings, storage, (manifest.entries[at].name for at in mine))
    ready: list[Computed] = []
    began = time.perf_counter()
    if there is not None:
        store = there
        arithmetic = arithmetic_to_go_on(
            store, settings, storage, batch_size, device, precision, threads, allow_other_arithmetic
        )
        new = registrations(manifest, settings, skip=set(store.labels.names))
    else:
        arithmetic = choose_arithmetic(
            device=device, precision=precision, batch_size=batch_size, threads=threads, image_size=settings.image_size
        )
        backbone = prepared(backbone, arithmetic)  # once for the rehearsal and all that comes
        new = registrations(manifest, settings)  # masks that cannot be read leave no empty store, nor does what comes next
        its_own = [manifest.entries[at] for at in mine]
        ready = rehearse(its_own, settings, backbone, arithmetic, storage.type_of_cells(settings))
        about = {"tedm": version("tedm"), "family": backbone.family, "schedule": backbone.schedule.name}
        store = FeatureStore.create(path, settings, arithmetic, storage, {**about, **(provenance or {})})
    entries = {manifest.entries[at].name: manifest.entries[at] for at in mine}
    if repair:
        _discard_damaged(store)
    found = compare(store, manifest, list(entries.values()))
    found.require_unchanged(store, update=update)
    require_classes_of(store, manifest, found, update=update)
    renew(store, manifest, found, update=update)
    for remark in found.remarks(store, update=update):  # behind it: what is refused is not said to be taken
        if log is not None:
            log(remark)
    store.register(new, manifest.classes or ())
    name_classes(store, manifest)
    with contextlib.suppress(TedmError):  # a store that cannot be written costs a comparison next time, no more
        store.record(found.as_read)
    store.remove_partial_files(None if shard is None else entries)

    def image_of(name: str) -> NDArray[np.float32]:
        return square_image(entries[name], store.settings)

    return fill(store, entries, image_of, backbone, arithmetic, progress, ready, began)


def writers(arithmetic: Arithmetic, layout: Layout) -> int:
    """Return how many images are laid out, encoded and written at once.

    One on a CPU, which has other work; several beside a GPU, for which one core cannot compress fast enough: all but two.
    """
    return 1 if arithmetic.device == "cpu" else min(MOST_WRITERS[layout], max(1, available_cores() - 2))


def arithmetic_to_go_on(
    store: FeatureStore,
    settings: FeatureSettings,
    storage: Storage,
    batch_size: int | None,
    device: Literal["auto", "cpu", "cuda"],
    precision: Literal["auto", "float32", "bfloat16"],
    threads: int | None,
    allow_other_arithmetic: bool,
) -> Arithmetic:
    """Return the arithmetic to go on with in a store; a `TedmError` if it was made otherwise than is asked for."""
    of = {"us": "the store", "them": "this run"}
    fields = {**MUST_MATCH, **MAY_DIFFER, "timesteps": "timesteps"}
    problems = differences(store.settings, settings, fields, **of)
    for what, ours, theirs in (
        ("layout", store.storage.layout, storage.layout),
        ("dtype", store.storage.dtype, storage.dtype),
    ):
        if ours != theirs:
            problems.append(f"{what}: the store has {ours}, this run has {theirs}")
    if problems:
        raise TedmError(
            f"cannot continue {store.path}: it was made with other settings\n  "
            + "\n  ".join(problems)
            + "\nRepeat the original settings, or write to a new path."
        )
    recorded = store.arithmetic

    def chosen(kind: Literal["auto", "cpu", "cuda"]) -> Arithmetic:
        return choose_arithmetic(
            device=kind,
            precision=recorded.precision if precision == "auto" else precision,
            batch_size=batch_size or recorded.batch_size,
            threads=threads,  # of this machine: no number depends on it
        )

    try:
        arithmetic = chosen(recorded.device if device == "auto" else device)
    except TedmError:
        if device != "auto" or recorded.device == "cpu":
            raise
        arithmetic = chosen("cpu")  # the store's GPU is not here: the difference is reported as such
    problems = differences(recorded, arithmetic, FIELDS, **of)
    if problems and not allow_other_arithmetic:
        raise TedmError(
            f"cannot continue {store.path}: here the same image would get other bits\n  "
            + "\n  ".join(problems)
            + "\nContinue where the store was made, write to a new path, or accept it with --allow-other-arithmetic."
        )
    return arithmetic


def _discard_damaged(store: FeatureStore) -> None:
    store.discard(to_recompute(verify(store)))


def fill(
    store: FeatureStore,
    names: Collection[str],
    image_of: Callable[[str], NDArray[np.float32]],
    backbone: Backbone,
    arithmetic: Arithmetic,
    progress: Callable[[int, int, str], None] | None,
    ready: list[Computed] | None = None,
    began: float | None = None,
) -> Extracted:
    """Compute and write what is missing; an image that cannot be decoded does not keep the others from it.

    Parameters
    ----------
    store : FeatureStore
    names : collection of str
        Images of it that are wanted.
    image_of : callable (str)
        Gives an image as the backbone's square, or raises a `TedmError`.
    backbone, arithmetic
        Those of the store.
    progress
        See `extract`.
    ready : list of Computed or None
        Images that were computed already; the list is empty afterwards.
    began : float or None
        When that was begun, of `time.perf_counter`; None: now.

    Raises
    ------
    TedmError
        If images could not be read, after all others are finished, or the disk is full.
    """
    missing = [name for name in store.missing() if name in names]
    ready = [] if ready is None else ready
    ready[:] = [computed for computed in ready if computed.name in missing]
    to_compute = [name for name in missing if name not in {computed.name for computed in ready}]
    reused = len(names) - len(missing)
    failures: list[str] = []
    failed: set[str] = set()
    waited, started = Waited(), time.perf_counter() if began is None else began
    written, turn = 0, threading.Lock()

    def read(name: str) -> NDArray[np.float32] | TedmError:
        try:
            return image_of(name)
        except TedmError as error:
            return error

    def images() -> Iterator[tuple[str, NDArray[np.float32]]]:
        made = in_order(read, to_compute, threads=MADE_AT_ONCE[arithmetic.device])
        for name, image in zip(to_compute, made, strict=True):
            if isinstance(image, TedmError):
                failures.append(str(image))
                failed.add(name)
                continue
            yield name, image

    def write(computed: Computed) -> None:
        nonlocal written
        require_store(store)
        store.write(computed.name, computed.image, computed.cells, checked=dtype == "float16")  # which `compute` looks at
        with turn:
            written += 1
            if progress is not None:
                left = len(missing) - written - len(failures)
                progress(reused + written, len(names), pace(written, left, time.perf_counter() - started, waited))

    dtype = store.storage.type_of_cells(store.settings)
    with Behind(write, threads=writers(arithmetic, store.storage.layout), waiting=WAITING, waited=waited) as disk:
        while ready:
            disk.put(ready.pop())
        for computed in compute(backbone, store.settings, arithmetic, images(), waited=waited, dtype=dtype, alone=True):
            disk.put(computed)
            del computed  # it is the disk's now
    require_store(store, [name for name in missing if name not in failed])
    # slices of one volume have one reason
    reasons = list(dict.fromkeys(failures))
    raise_listed(f"{len(failures)} of {len(names)} images could not be read; all others are in {store.path}", reasons)
    return Extracted(store, written, reused)
