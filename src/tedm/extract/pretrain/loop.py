"""The loop that every training runs, whatever it learns: iterations, reports, states to go on from, checkpoints.

A run can be interrupted at any moment and goes on to the same weights.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.allocator import freed_memory_kept
from tedm.errors import TedmError, raise_listed
from tedm.files import require_writable
from tedm.signals import Pending, deferred_signals

from .curve import LossCurve
from .learner import Learner
from .progress import Clock, Reporter, TrainingReport
from .state import Format, numbered_path, read_state, state_path, write_checkpoint, write_state

# an average over the last 2000 iterations or so; a short run's is warmed up to it
EMA_DECAY = 0.9995


@freed_memory_kept()
def train(
    learner: Learner,
    images: NDArray[np.float32],
    checkpoint: Path,
    *,
    iterations: int,
    held_out: NDArray[np.float32] | None,
    resume: bool,
    keep_state: bool,
    state_every: int,
    checkpoint_every: int,
    report_every: int,
    samples: int = 0,
    format: Format = "safetensors",
    report: Callable[[TrainingReport], None] | None,
    progress: Callable[[int, int, float], None] | None,
    log: Callable[[str], None] | None,
) -> None:
    """Train a learner and write its checkpoint; `pretrain_diffusion` explains the arguments.

    Raises
    ------
    TedmError
        If a finished or an unfinished run is there and `resume` is not asked for, or there is nothing to resume or it had other
        settings; if the training diverges.
    """
    curve = LossCurve()
    state = state_path(checkpoint)
    require_clear_way(checkpoint, resume=resume)
    require_ending(checkpoint, format, resume=resume)
    say = log or (lambda line: None)
    if resume:
        curve, differences = read_state(learner, state)
        say(f"resuming after {learner.iteration} iterations")
        for line in differences:
            say(f"note: {line}; the last bits may differ from those of an uninterrupted run")
    if learner.iteration > iterations:
        raise TedmError(f"{state} has seen {learner.iteration} iterations, this run asks for {iterations}; ask for more")

    reporter = Reporter(learner, curve, held_out, samples, report)
    clock = Clock(iterations - learner.iteration, report_every, reporter, say)
    examples = torch.from_numpy(images)

    def report_due() -> bool:
        return learner.iteration % report_every == 0 or learner.iteration == iterations

    reported = True
    with deferred_signals() as signals:
        if not curve.points or report_due():  # of a run that was stopped in its report
            reported = _is_whole(reporter)
        while learner.iteration < iterations and not signals:
            started = time.monotonic()
            loss = learner.step(examples)
            curve.add(loss)
            clock(time.monotonic() - started)
            try:
                if progress is not None:
                    progress(learner.iteration, iterations, loss)
                if report_due():
                    reported = _is_whole(reporter)
            except BaseException:  # whatever a callback raises, this iteration is whole
                write_state(learner, curve, state)
                raise
            if checkpoint_every and learner.iteration % checkpoint_every == 0:
                write_checkpoint(learner, numbered_path(checkpoint, learner.iteration), format=format)
            if learner.iteration % state_every == 0 and learner.iteration < iterations:
                write_state(learner, curve, state)
        finished = reported and learner.iteration == iterations
        if keep_state or not finished:
            write_state(learner, curve, state)
            say(f"state after {learner.iteration} of {iterations} iterations written to {state}; --resume goes on from it")
        if finished:
            write_checkpoint(learner, checkpoint, format=format)
            if not keep_state:
                state.unlink(missing_ok=True)
    if not finished:  # the signal's own handler came back and stopped nothing
        raise TedmError(f"stopped after {learner.iteration} of {iterations} iterations; resume to go on")


def _is_whole(reporter: Reporter) -> bool:
    """Report; False where a signal came that waits for it to end."""
    try:
        reporter()
    except Pending:
        return False
    return True


def digest_of(images: NDArray[np.float32]) -> str:
    """Return the SHA-256 of images, hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def require_images(images: NDArray[np.float32], held_out: NDArray[np.float32] | None, *, batch_size: int) -> None:
    """Refuse images that cannot be learned from.

    Raises
    ------
    TedmError
        If there are too few, they are no squares from 0 to 1, or those held out are of another shape.
    """
    _require_images(images, "to train on")
    if held_out is not None:
        _require_images(held_out, "held out")
        if held_out.shape[1:] != images.shape[1:]:
            raise TedmError(f"images held out are of shape {held_out.shape[1:]}, those to train on of {images.shape[1:]}")
    if len(images) < batch_size:
        raise TedmError(
            f"{len(images)} images are too few for batches of {batch_size}; give more, or ask for a smaller batch size"
        )


def _require_images(images: NDArray[np.float32], what: str) -> None:
    if images.ndim != 4 or len(images) == 0 or images.shape[1] == 0:
        raise TedmError(f"no images {what}: got an array of shape {images.shape}, expected (images, channels, side, side)")
    if images.shape[2] != images.shape[3]:
        raise TedmError(f"images of {images.shape[2]} x {images.shape[3]} pixels are not square; pad or stretch them first")
    low, high = float(images.min()), float(images.max())
    if images.dtype != np.float32 or not (0 <= low <= high <= 1):
        raise TedmError(
            f"images for training are float32 from 0, black, to 1, white; got {images.dtype} from {low:g} to {high:g}. "
            "Divide by the file type's white."
        )


def require_numbers(
    *,
    iterations: int,
    batch_size: int,
    accumulate: int,
    state_every: int,
    report_every: int,
    samples: int,
    checkpoint_every: int,
    learning_rate: float,
    clip_gradient: float | None,
    ema_decay: float,
) -> None:
    """Refuse numbers that no training can have, all at once; see `pretrain_diffusion`. It needs no images.

    Raises
    ------
    TedmError
        If there is such a number.
    """
    at_least_one = {"iterations": iterations, "batch size": batch_size, "accumulate": accumulate}
    at_least_one |= {"state every": state_every, "report every": report_every}
    at_least_zero = {"samples": samples, "checkpoint every": checkpoint_every}
    above_zero = {"learning rate": learning_rate} | ({} if clip_gradient is None else {"clip gradient": clip_gradient})
    problems = [f"{name} is {value}; use at least 1" for name, value in at_least_one.items() if value < 1]
    problems += [f"{name} is {value}; use at least 0" for name, value in at_least_zero.items() if value < 0]
    problems += [
        f"{name} is {value:g}; use a number above zero, for example {'1e-4' if name == 'learning rate' else '1'}"
        for name, value in above_zero.items()
        if not (math.isfinite(value) and value > 0)
    ]
    if not 0 <= ema_decay < 1:
        problems.append(f"ema decay is {ema_decay:g}; use a number from 0 to below 1, for example {EMA_DECAY:g}")
    raise_listed("cannot train", problems)
    if batch_size % accumulate:
        raise TedmError(f"a batch of {batch_size} images cannot be computed in {accumulate} equal parts; use a divisor of it")


def require_ending(checkpoint: Path, format: Format, *, resume: bool) -> None:
    """Refuse a name that says something else than what will be in the file; a run that began under it may go on.

    Raises
    ------
    TedmError
        If the published format, which PyTorch reads, would be written as `.safetensors`.
    """
    if format == "published" and checkpoint.suffix == ".safetensors" and not resume:
        raise TedmError(
            f"{checkpoint} would be a file of PyTorch in the published format under the name of a safetensors file; name it "
            f"{checkpoint.with_suffix('.pt')}, or leave out --format published"
        )


def require_clear_way(checkpoint: Path, *, resume: bool) -> None:
    """Refuse a checkpoint that is there or cannot be written, and a run that is there or not; asked before images are read.

    Raises
    ------
    TedmError
        If `resume` does not fit what is there, or the place cannot be written.
    """
    state = state_path(checkpoint)
    if not checkpoint.parent.is_dir():
        raise TedmError(f"there is no folder {checkpoint.parent} for the checkpoint; make it first")
    if resume and not state.exists():
        raise TedmError(f"there is nothing to resume: no {state}; leave out --resume to start from random weights")
    if not resume and state.exists():
        raise TedmError(f"an unfinished run lies at {state}; ask to --resume it, or delete it to start again")
    if not resume and checkpoint.exists():
        raise TedmError(f"{checkpoint} is there already; delete it, or name another checkpoint")
    require_writable(checkpoint, what="the checkpoint", remedy="make room or choose another path")
