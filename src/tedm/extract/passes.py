"""Entries on their way through a backbone into the cells of their images: one by one on a CPU, in batches on a GPU.

An entry is one image at one timestep with one draw of noise. Either way takes entries in order, has some of them under way, and
returns them in their order when their activations are where they belong.
"""

from __future__ import annotations

import contextlib
import itertools
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

import torch
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.arithmetic import running
from tedm.extract.arriving import Arriving, Opened, places_of
from tedm.extract.backbones import Backbone
from tedm.store import Arithmetic
from tedm.store.layout import Floats, finite
from tedm.store.settings import StorageType
from tedm.threads import begin_alone, threads_back

# Batches whose activations may be on their way to the host while the next one is computed. A CPU has them where they are.
ON_THE_WAY = {"cpu": 0, "cuda": 1}


@dataclass(frozen=True)
class Entry:
    """An entry whose activations are in its image's cells.

    Parameters
    ----------
    number, entry : int
        Its image's, and its own among the image's.
    misfits : list of (int, array)
        Levels with numbers that are not finite in the cells' type, and what they were.
    """

    number: int
    entry: int
    misfits: list[tuple[int, Floats]]


@dataclass(frozen=True)
class Work:
    """What is to be computed, and where it goes.

    Parameters
    ----------
    backbone, arithmetic
        Made ready for each other.
    timesteps : sequence of int
        Of each of an image's entries.
    images : mapping of int to Opened
        Those with an entry under way, by their numbers.
    dtype : {"float32", "float16"}
        Type of their cells.
    """

    backbone: Backbone
    arithmetic: Arithmetic
    timesteps: Sequence[int]
    images: Mapping[int, Opened]
    dtype: StorageType


class OneByOne:
    """A CPU's way: a thread computes an entry and puts it into its image's cells, and others do the same at once.

    Parameters
    ----------
    work : Work
    alone : bool
        See `tedm.extract.pipeline.compute`. As many entries as a batch has are under way at most; if not alone, none when some
        are handed over.
    """

    def __init__(self, work: Work, *, alone: bool) -> None:
        self._work, self._alone = work, alone
        self._going: deque[tuple[int, int, Future[list[tuple[int, Floats]]]]] = deque()
        self._threads = torch.get_num_threads()

    def put(self, number: int, entry: int, x_t: Tensor) -> list[Entry]:
        """Begin with an entry; return those that are done meanwhile."""
        rows = [rows[entry] for rows in self._work.images[number].rows]
        step = torch.tensor([self._work.timesteps[entry]])
        self._going.append((number, entry, begin_alone(self._work.arithmetic.threads, self._pass, x_t[None], step, rows)))
        if len(self._going) < self._work.arithmetic.batch_size:
            return []
        return self._done(1 if self._alone else len(self._going))

    def rest(self) -> list[Entry]:
        """Return all others."""
        return self._done(len(self._going))

    def close(self) -> None:
        """Wait until nothing is computed any more: of a caller that stopped early, or after an error."""
        for _, _, pending in self._going:
            pending.cancel()
        wait([pending for _, _, pending in self._going])
        self._going.clear()
        threads_back(self._threads)

    def _done(self, count: int) -> list[Entry]:
        with _memory_missed(lambda: _too_many_threads(self._work.arithmetic)):
            found = [Entry(number, entry, pending.result()) for number, entry, pending in itertools.islice(self._going, count)]
        for _ in found:
            self._going.popleft()
        if not self._going:
            threads_back(self._threads)
        return found

    @torch.inference_mode()  # in which the caller may be, whose tensors nobody else may write to
    def _pass(self, x_t: Tensor, timesteps: Tensor, rows: Sequence[Tensor]) -> list[tuple[int, Floats]]:
        misfits = []
        for at, (level, row) in enumerate(zip(self._work.backbone.activations(x_t, timesteps), rows, strict=True)):
            pixels = level[0].permute(1, 2, 0)
            # torch takes thrice as long from one type of 16 bits to another as by way of float32
            row.copy_(pixels.float() if row.dtype == torch.float16 else pixels)
            if row.dtype == torch.float16 and not finite(row.numpy()):
                misfits.append((at, level[0].float().numpy()))
        return misfits


class Batches:
    """A GPU's way: entries of several images are a batch, and that of one is on its way while the next is computed."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._batch: list[tuple[int, int]] = []  # images, and which of their entries
        self._inputs: list[Tensor] = []
        self._on_the_way: deque[tuple[list[tuple[int, int]], Arriving]] = deque()

    def put(self, number: int, entry: int, x_t: Tensor) -> Iterator[Entry]:
        """Take an entry, and begin with the batch if it is full; yield what has arrived meanwhile."""
        self._batch.append((number, entry))
        self._inputs.append(x_t)
        if len(self._batch) == self._work.arithmetic.batch_size:
            self._start()
            yield from self._arrived(most=ON_THE_WAY[self._work.arithmetic.device])

    def rest(self) -> Iterator[Entry]:
        """Yield all others."""
        if self._batch:
            self._start()
        yield from self._arrived(most=0)

    def close(self) -> None:
        """Wait for what is on its way: of a caller that stopped early, or after an error."""
        for _, arriving in self._on_the_way:
            arriving.wait()

    def _start(self) -> None:
        levels = self._forward([self._work.timesteps[entry] for _, entry in self._batch])
        self._on_the_way.append((self._batch.copy(), Arriving(levels, places_of(self._batch, self._work.images))))
        self._batch.clear()
        self._inputs.clear()

    def _arrived(self, most: int) -> Iterator[Entry]:
        while len(self._on_the_way) > most:
            entries, arriving = self._on_the_way.popleft()
            misfits: dict[int, list[tuple[int, Floats]]] = {}
            for level, at, numbers in arriving.misfits():
                misfits.setdefault(at, []).append((level, numbers))
            for at, (number, entry) in enumerate(entries):
                yield Entry(number, entry, misfits.get(at, []))

    def _forward(self, timesteps: Sequence[int]) -> list[Tensor]:
        """Run one forward pass over the batch; return the levels where they were computed, without the padding."""
        work, device = self._work, self._work.arithmetic.device
        padding = 0 if device == "cpu" else work.arithmetic.batch_size - len(self._inputs)
        x_t = torch.stack([*self._inputs, *[self._inputs[0]] * padding])
        steps = torch.tensor([*timesteps, *[timesteps[0]] * padding])
        if device == "cuda":
            x_t = x_t.pin_memory()
        with running(work.arithmetic), _memory_missed(lambda: _too_large_a_batch(work, x_t, steps)):
            levels = work.backbone.activations(x_t.to(device, non_blocking=True), steps.to(device))
            return [level[: len(self._inputs)] for level in levels]


@contextlib.contextmanager
def _memory_missed(what_to_do: Callable[[], TedmError]) -> Iterator[None]:
    """Say what to do where memory runs out."""
    try:
        yield
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold what the failed pass had computed
        failure = what_to_do()
        raise failure from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    # a CPU's allocator raises a plain RuntimeError
    return isinstance(error, torch.OutOfMemoryError) or ("alloc" in str(error) and "memory" in str(error))


def _too_many_threads(arithmetic: Arithmetic) -> TedmError:
    fewer = max(1, arithmetic.threads // 2)
    return TedmError(
        f"out of memory on the CPU with {arithmetic.threads} threads, each with an entry of its own; finished images are "
        f"safe\nRun the same command again with --threads {fewer}: the numbers do not depend on it."
    )


def _too_large_a_batch(work: Work, x_t: Tensor, steps: Tensor) -> TedmError:
    """Return what to do on a GPU; the batch size that is named has been tried, with one on its way beside it."""
    arithmetic = work.arithmetic
    if arithmetic.device == "cpu":  # where a test or a stand-in sends batches through
        return _too_many_threads(arithmetic)
    size = arithmetic.batch_size
    while size > 1:
        size //= 2
        torch.cuda.empty_cache()
        try:
            _two_batches(work.backbone, x_t[:size].to(arithmetic.device), steps[:size].to(arithmetic.device), work.dtype)
            break
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
    return TedmError(
        f"out of memory on {arithmetic.device} with a batch of {arithmetic.batch_size}; finished images are safe\n"
        f"Extract to a new store with --batch-size {size} (a store keeps the batch size that it was made with)."
    )


def _two_batches(backbone: Backbone, x_t: Tensor, timesteps: Tensor, dtype: StorageType) -> None:
    """Take what a GPU holds at most: a batch on its way, once as computed and once in the cells' type, and the next pass."""
    on_its_way = backbone.activations(x_t, timesteps)
    pixels = [level.permute(0, 2, 3, 1).to(getattr(torch, dtype)).contiguous() for level in on_its_way]
    backbone.activations(x_t, timesteps)
    del on_its_way, pixels
