"""Labelled rows as XGBoost keeps them: pages of bins in a cache on disk, and what making and using these takes.

Trees need rows, which do not fit in memory. XGBoost's histogram method needs them as bin numbers only: each pass over the store
becomes pages of bytes, and training reads those. Where the bins lie is decided first, from random rows of all images. All sizes
follow from shapes, so that a budget is refused, or kept, before work starts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xgboost
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.files import free_space
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import rows_at
from tedm.heads.runtime.memory import SLACK
from tedm.store import IGNORE
from tedm.text import gigabytes

# Rows that decide where bins lie, at most and at least: more move no cut by a bin's width, fewer leave bins empty.
CUT_ROWS = (2**14, 2**10)
# Rows of a page, at least: each page repeats the cuts.
LEAST_PAGE = 2**8
# Bytes of a page's rows as float32, at most.
LARGEST_PAGE = 2**27
# Gathering rows holds their levels, these side by side, and for bilinear upsampling the corners of a level.
GATHERED = 4
# What XGBoost takes whatever the shapes.
XGBOOST_BYTES = 2**25


@dataclass(frozen=True)
class Plan:
    """What a fit out of core takes, from shapes alone; stages follow one another, so that the largest counts.

    Parameters
    ----------
    features, bins, outputs, rows : int
        Of the rows; outputs are columns of scores, rows those of training and validation.
    depth : int
        Of the trees.
    reading : int
        Bytes of two blocks and of what reading one takes.
    threads, cut_rows, page_rows, nodes : int
        What can be chosen; nodes are those whose histograms are kept.
    """

    features: int
    bins: int
    outputs: int
    rows: int
    depth: int
    reading: int
    threads: int
    cut_rows: int
    page_rows: int
    nodes: int

    @property
    def cutting(self) -> int:
        """Bytes to choose the bins. XGBoost's sketches were measured at 40 bytes a value up to 2048 rows, 16 from there on."""
        sketched = 40 * min(self.cut_rows, 2048) + 16 * max(0, self.cut_rows - 2048)
        return self.reading + self.features * (self.cut_rows * 4 + sketched)

    @property
    def paging(self) -> int:
        """Bytes to make pages: the rows, those that are being gathered (a quarter), and their bins."""
        dense = self.page_rows * self.features * 4
        return self.reading + dense + GATHERED * dense // 4 + self._page + self.features * self.bins * 8 * self.threads

    @property
    def boosting(self) -> int:
        """Bytes to train: histograms of gradient and second derivative, pages that are used and fetched, what each row has."""
        # Where not all nodes are kept, no histogram is a difference of two others: all of the last nodes are summed.
        whole = self.nodes >= 2**self.depth - 1
        summed: int = 2 ** max(0, self.depth - (2 if whole else 1))
        histograms = self.features * self.bins * 16 * (self.nodes + (self.threads - 1) * summed)
        # The cuts are held twice besides, by the matrix and by what reads its pages.
        pages = (min(self.threads, 3) + 1) * self._page + 2 * self._cuts
        # What reading took is free by now, but not all of it goes back to the system.
        return histograms + pages + self.rows * (24 * self.outputs + 64) + XGBOOST_BYTES + self.reading

    @property
    def disk_bytes(self) -> int:
        """Bytes of all pages on disk."""
        pages = -(-self.rows // self.page_rows) + 1
        return int(self.rows * self.features * 2.25) + pages * self._cuts

    @property
    def bytes(self) -> int:
        """Most bytes at a time."""
        return max(self.cutting, self.paging, self.boosting)

    @property
    def _page(self) -> int:
        """Bytes of a page: its bins by row and by column, with bits for what is missing."""
        return int(self.page_rows * self.features * 2.25) + self._cuts

    @property
    def _cuts(self) -> int:
        return self.features * self.bins * 12


def plan_pages(data: TrainingData, validation: TrainingData | None, *, classes: int, bins: int, depth: int) -> Plan:
    """Return the fastest plan that the budget holds; a `TedmError` if none does."""
    rows = data.n_rows
    # Blocks that stay in memory between passes are taken from what is left.
    kept = min(data.budget.keepable(), len(data) * data.block_bytes)
    least = Plan(
        features=data.n_features,
        bins=bins,
        outputs=classes if classes > 2 else 1,
        rows=rows + (0 if validation is None else validation.n_rows),
        depth=depth,
        reading=data.block_bytes + data.reading_bytes,
        threads=1,
        cut_rows=min(rows, CUT_ROWS[1]),
        page_rows=max(LEAST_PAGE, GATHERED * data.rows_per_pixel),
        nodes=2 ** (depth - 1),
    )
    data.budget.require(
        least.bytes + kept,
        f"XGBoost ({gigabytes(least.boosting)} to train, with histograms of {data.n_features} features x {bins} bins, "
        f"{gigabytes(least.cutting)} to choose the bins)",
        "give --params a smaller max_bin or max_depth",
    )
    left = int(data.budget.left() / SLACK) - kept
    # A block that is read ahead, if there is room for it.
    plan = replace(least, reading=2 * data.block_bytes + data.reading_bytes)
    plan = plan if plan.bytes <= left else least
    for threads in range(torch.get_num_threads(), 0, -1):
        better = replace(plan, threads=threads, nodes=2**depth - 1)
        if better.bytes <= left:
            plan = better
            break
    # A half of what is left for each of these: the rest is what a computation stands on.
    plan = replace(plan, page_rows=_largest(plan, "page_rows", LARGEST_PAGE // (data.n_features * 4), left))
    return replace(plan, cut_rows=_largest(plan, "cut_rows", min(rows, CUT_ROWS[0]), left))


def _largest(plan: Plan, what: str, most: int, left: int) -> int:
    """Return the most of something that memory holds, by halving."""
    least = value = int(getattr(plan, what))
    most = max(least, most)
    while most > least:
        if replace(plan, **{what: most}).bytes <= left:
            return most
        most = max(least, most // 2)
    return value


class Pages(xgboost.DataIter):
    """Labelled rows as XGBoost asks for them: pass after pass, a page at a time."""

    def __init__(
        self,
        data: TrainingData,
        positions: NDArray[np.int64],
        weights: NDArray[np.float64],
        plan: Plan,
        cache: str | None,
        stop: threading.Event,
    ) -> None:
        super().__init__(cache_prefix=cache)
        self._data, self._positions, self._weights, self._plan, self._stop = data, positions, weights, plan, stop
        self._pages = self._one_pass()

    def reset(self) -> None:
        """Start a pass."""
        self._pages.close()
        self._pages = self._one_pass()

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand over a page; return whether there was one."""
        go_on(self._stop)
        for rows, labels in self._pages:
            input_data(data=rows, label=self._positions[labels], weight=self._weights[labels])
            return True
        return False

    def _one_pass(self) -> Generator[tuple[NDArray[np.float32], NDArray[np.uint8]], None, None]:
        """Put parts of images together until a page is full: small pages cost time and disk."""
        size, features = self._plan.page_rows, self._data.n_features
        rows, labels, filled = np.empty((size, features), np.float32), np.empty(size, np.uint8), 0
        working = self._plan.paging - self._plan.reading
        for _, some, own in self._data.row_chunks(self._data.names, size * features, working=working):
            while len(some):
                taken = min(len(some), size - filled)
                rows[filled : filled + taken], labels[filled : filled + taken] = some[:taken], own[:taken]
                some, own, filled = some[taken:], own[taken:], filled + taken
                if filled == size:
                    yield rows[:filled], labels[:filled]
                    filled = 0
            del some, own
        if filled:
            yield rows[:filled], labels[:filled]


def some_rows(data: TrainingData, wanted: int, seed: int, stop: threading.Event) -> NDArray[np.float32]:
    """Draw random rows, from each image as many as its part of all."""
    total, seen, filled = int(data.class_counts().sum()), 0, 0
    pixels = min(total, max(1, wanted // data.rows_per_pixel))
    rows = np.empty((pixels * data.rows_per_pixel, data.n_features), np.float32)
    for labelled in data.read(data.names, working=rows.nbytes):
        go_on(stop)
        labels = np.flatnonzero(labelled.mask.ravel() != IGNORE)
        # Rounded such that the parts add up.
        own = (seen + len(labels)) * pixels // total - seen * pixels // total
        seen += len(labels)
        # In their order, so that all rows give the bins that they give in memory.
        chosen = np.sort(np.random.default_rng([seed, *labelled.block.name.encode()]).permutation(labels)[:own])
        at_once = max(1, own // 8)  # what gathering takes besides stays small
        for start in range(0, own, at_once):
            part = rows_at(labelled.block, chosen[start : start + at_once], data.rows)
            rows[filled : filled + len(part)] = part
            filled += len(part)
    return rows


def positions_of(present: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the places of class indices among the classes that are present; the others are no class."""
    positions = np.full(256, -1, np.int64)
    positions[present] = np.arange(len(present))
    return positions


def require_disk(folder: Path, needed: int) -> None:
    """Refuse a cache that the disk of its folder does not hold."""
    free = free_space(folder)
    if needed > free:
        raise TedmError(
            f"XGBoost's cache takes {gigabytes(needed)} and {folder.parent} has {gigabytes(free)} left; "
            "set TMPDIR to a folder with more, or use fewer pixels (--pixels-per-image)"
        )


def go_on(stop: threading.Event) -> None:
    """End a computation whose caller has stopped it."""
    if stop.is_set():
        raise InterruptedError("stopped by the caller")
