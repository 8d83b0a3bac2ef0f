"""Views of a store's training images: computed from the images that it has, into the store inside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tedm.augmentation import view_image
from tedm.errors import TedmError
from tedm.extract.backbones import Backbone
from tedm.extract.rehearsal import require_room
from tedm.extract.run import Extracted, arithmetic_to_go_on, fill
from tedm.store import FeatureStore, Labels, Registration, verify
from tedm.store.place import inside
from tedm.store.verification import to_recompute
from tedm.views import SAME, VIEWS, ViewKind, image_of_view, view_name

FULL = ViewKind("full", 0)


def extract_views(
    store: FeatureStore,
    backbone: Backbone,
    count: int,
    *,
    kind: ViewKind = FULL,
    shard: tuple[int, int] | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    allow_other_arithmetic: bool = False,
    repair: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Extracted:
    """Write the activations of views of a store's labelled training images; go on with what is there.

    Parameters
    ----------
    store : FeatureStore
        Its images are what is looked at: nothing else is read.
    backbone : Backbone
        That of the store.
    count : int
        Views of each image, at least 1; further ones that are there stay.
    kind : ViewKind
        What a view changes, besides the noise.
    shard : tuple (i, n) or None
        Take the views of every n-th labelled image of split `train`, from the i-th on; images that are not whole yet have no
        views before they are.
    device, threads, allow_other_arithmetic, repair
        See `tedm.extract.extract`.
    progress : callable (done, all, pace) or None

    Returns
    -------
    Extracted
        The store of the views and what was done.

    Raises
    ------
    TedmError
        If the views could not differ, those that are there were made otherwise, the backbone is another one, or the disk is
        full.
    """
    if count < 1:
        raise TedmError(f"--views is {count}; it must be at least 1, or be left out")
    if kind.changes == "none" and store.settings.noise != "per-image":
        raise TedmError(f"with --noise {store.settings.noise} views would be equal: give --view-changes intensity or full")
    if backbone.sha256 != store.settings.checkpoint_sha256:
        raise TedmError(f"{store.path} was made with another checkpoint; views need the same")
    labels, missing = store.labels, set(store.missing())
    to_learn_from = labels.select(split="train", labelled=True)
    first, parts = shard or (0, 1)
    mine = [name for name in to_learn_from[first::parts] if name not in missing]
    wanted = [view_name(name, k + 1) for name in mine for k in range(count)]
    there, path = store.view_store(), inside(store.path, VIEWS)
    to_compute = wanted
    if there is not None:
        _require_kind(there, kind)
        if repair:
            there.discard(to_recompute(verify(there)))
        to_compute = _to_compute(store, there, kind, wanted)
        if not to_compute:
            return Extracted(there, 0, len(wanted))
    require_room(path, there, store.settings, store.storage, wanted)
    backbone = backbone.with_levels([level.name for level in store.settings.levels])
    arithmetic = arithmetic_to_go_on(
        store, store.settings, store.storage, None, device, "auto", threads, allow_other_arithmetic
    )
    provenance = {"tedm": version("tedm"), **kind.record()}
    views = FeatureStore.create(path, store.settings, arithmetic, store.storage, provenance)
    # all of them, so that shards write the same
    views.register([_registration(labels, name, k + 1) for name in to_learn_from for k in range(count)], ())
    views.discard(sorted(set(to_compute).difference(views.missing())) if there is not None else [])
    views.remove_partial_files(wanted)

    def image_of(view: str) -> NDArray[np.float32]:
        return view_image(store.image(image_of_view(view)), view, kind)

    return fill(views, wanted, image_of, backbone, arithmetic, progress)


def _require_kind(views: FeatureStore, kind: ViewKind) -> None:
    """Refuse to mix views of two kinds."""
    there = ViewKind.recorded(views.provenance, views.path)
    if there != kind:
        raise TedmError(
            f"{views.path} has views of --view-changes {there.changes} and seed {there.seed}, and {kind.changes} and "
            f"{kind.seed} are asked for; repeat these, or delete that folder"
        )


def _registration(labels: Labels, name: str, number: int) -> Registration:
    """Return a view as it enters the views' store: without a mask."""
    at = labels.index(name)
    group, domain, size = labels.groups[at], labels.domains[at], labels.original_sizes[at]
    return Registration(view_name(name, number), labels.splits[at], group, domain, size, None)


def _to_compute(store: FeatureStore, views: FeatureStore, kind: ViewKind, wanted: Sequence[str]) -> list[str]:
    """Return views that are missing, or of images that are others by now."""
    there = {name for name in wanted if views.labels.has(name)}.difference(views.missing())
    return [
        view
        for view in wanted
        if view not in there
        or np.abs(views.image(view) - view_image(store.image(image_of_view(view)), view, kind)).max() > SAME
    ]
