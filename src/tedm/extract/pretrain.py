"""Training a backbone of one's own on unlabelled images.

The network learns to predict the noise in x_t, at timesteps drawn at random (Ho et al. 2020), with Adam and the mean absolute
error (Rosnati et al. 2023); what is saved is the moving average of its weights. Everything random in an iteration is drawn from
(seed, iteration) alone, so a run that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tedm.errors import TedmError, raise_listed

from .backbone import Backbone, require_device, require_size
from .checkpoint import load_backbone, save_backbone
from .families.tedm import as_backbone, random_network
from .families.tedm_unet import TedmUNet
from .schedule import Schedule

# an average over the last 2000 iterations or so; a short run's is warmed up to it
AVERAGE_DECAY = 0.9995


@dataclass(frozen=True)
class PretrainSettings:
    """What a training run is: a run may only be resumed with the same, on the same images."""

    image_size: int
    image_channels: int
    width: int
    multipliers: tuple[int, ...]
    schedule: str
    timesteps_total: int
    batch_size: int
    learning_rate: float
    seed: int
    images: str


def pretrain(
    images: NDArray[np.float32],
    checkpoint: Path,
    *,
    width: int = 64,
    multipliers: Sequence[int] = (1, 2, 4, 8),
    schedule: str = "cosine",
    timesteps_total: int = 1000,
    iterations: int = 100_000,
    batch_size: int = 4,
    learning_rate: float = 1e-4,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    keep_state: bool = False,
    state_every: int = 1000,
    progress: Callable[[int, int, float], None] | None = None,
    log: Callable[[str], None] | None = None,
) -> Backbone:
    """Train TEDM's UNet from random weights.

    On a CPU the same arguments give the same weights, bit for bit, interrupted or not (one machine, one number of threads).

    Parameters
    ----------
    images : array of shape (images, channels, side, side), float32
        From 0, black, to 1, white. The side is the backbone's `image_size`.
    checkpoint : Path
        The safetensors file to write. The state for `resume` is written beside it, at `state_path(checkpoint)`.
    width, multipliers, schedule, timesteps_total
        As `tedm.extract.families.tedm.random_backbone` has them; the defaults are the paper's.
    iterations : int
        Steps of the optimiser. A run can be resumed with more.
    batch_size : int
        Images in each iteration, drawn with replacement.
    learning_rate : float
        Adam's.
    seed : int
        Of the initial weights and of everything that is drawn.
    device : str
        "cpu", "cuda" or "cuda:N".
    resume : bool
        Go on from the state beside the checkpoint.
    keep_state : bool
        Keep that state when finished, to go on with more iterations later.
    state_every : int
        Iterations between writes of the state. It is also written at Ctrl-C and SIGTERM.
    progress : callable, optional
        Called after each iteration with (iterations done, iterations, loss).
    log : callable, optional
        Called with lines that a person wants to see.

    Returns
    -------
    Backbone
        As `load_backbone` reads it from the file.

    Raises
    ------
    TedmError
        If the images, a number or the device will not do; if a finished or an unfinished run is there and `resume` is not asked
        for, or there is nothing to resume or it had other settings; if the training diverges.
    """
    _require_images(images)
    _require_numbers(iterations, batch_size, learning_rate, state_every)
    require_size(images.shape[2], 2 ** max(len(multipliers) - 1, 0))
    noising = Schedule.named(schedule, timesteps_total)
    target = require_device(device)
    _, image_channels, image_size, _ = images.shape
    settings = PretrainSettings(
        image_size=image_size,
        image_channels=image_channels,
        width=width,
        multipliers=tuple(multipliers),
        schedule=schedule,
        timesteps_total=timesteps_total,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        images=hashlib.sha256(np.ascontiguousarray(images).data).hexdigest(),
    )
    network = random_network(width=width, multipliers=multipliers, image_channels=image_channels, seed=seed).to(target)
    run = _Run(
        settings,
        network,
        copy.deepcopy(network).requires_grad_(False),
        torch.optim.Adam(network.parameters(), lr=learning_rate),
    )
    state = state_path(checkpoint)
    _require_clear_way(checkpoint, state, resume=resume)
    say = log or (lambda line: None)
    if resume:
        run.read(state, target)
        say(f"resuming after {run.iteration} iterations")
    if run.iteration > iterations:
        raise TedmError(f"{state} has seen {run.iteration} iterations, this run asks for {iterations}; ask for more")

    examples = torch.from_numpy(images)
    with _deferred_signals() as signals:
        while run.iteration < iterations and not signals:
            loss = run.step(examples, noising, target)
            try:
                if progress is not None:
                    progress(run.iteration, iterations, loss)
            except BaseException:  # whatever the callback raises, this iteration is whole
                run.write(state)
                raise
            if run.iteration % state_every == 0 and run.iteration < iterations:
                run.write(state)
        finished = run.iteration == iterations
        if keep_state or not finished:
            run.write(state)
            say(f"state after {run.iteration} of {iterations} iterations written to {state}")
        if finished:
            backbone = as_backbone(run.average, schedule=noising, image_size=image_size, sha256="", step=run.iteration)
            save_backbone(backbone, checkpoint)
            if not keep_state:
                state.unlink(missing_ok=True)
    if not finished:  # the signal's own handler came back and stopped nothing
        raise TedmError(f"stopped after {run.iteration} of {iterations} iterations; resume to go on")
    return load_backbone(checkpoint)


def state_path(checkpoint: Path) -> Path:
    """Where the state of an unfinished run lies: beside its checkpoint."""
    return checkpoint.with_name(checkpoint.name + ".training")


@dataclass
class _Run:
    """A network in training; between two calls of `step` it can be written, and go on from the file."""

    settings: PretrainSettings
    network: nn.Module
    average: TedmUNet
    optimizer: torch.optim.Optimizer
    iteration: int = 0

    def step(self, examples: Tensor, schedule: Schedule, device: torch.device) -> float:
        """One iteration; its loss."""
        settings = self.settings
        digest = hashlib.blake2b(f"{settings.seed}/{self.iteration}".encode(), digest_size=8).digest()
        # drawn on the CPU, so that every device is given the same numbers
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        x_0 = examples[torch.randint(len(examples), (settings.batch_size,), generator=generator)] * 2 - 1
        timesteps = torch.randint(settings.timesteps_total, (settings.batch_size,), generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        x_t = schedule.x_t(x_0, noise, timesteps)
        loss = F.l1_loss(self.network(x_t.to(device), timesteps.to(device)), noise.to(device))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.iteration += 1
        # a warm-up: an average over the last tenth of a short run, so that random weights are soon forgotten
        decay = min(AVERAGE_DECAY, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            for ours, theirs in zip(self.average.parameters(), self.network.parameters(), strict=True):
                ours.lerp_(theirs, 1 - decay)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TedmError(
                f"the training diverged: the loss is {value} at iteration {self.iteration}; "
                f"lower the learning rate (it is {settings.learning_rate:g})"
            )
        return value

    def write(self, path: Path) -> None:
        """All at once or not at all."""
        aside = path.with_name(path.name + ".partial")
        content = {
            "settings": json.dumps(asdict(self.settings)),
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        try:
            with aside.open("wb") as file:
                torch.save(content, file)
            aside.replace(path)
        except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
            aside.unlink(missing_ok=True)
            raise TedmError(f"cannot write the training state {path}: {error}; make room or choose another path") from error

    def read(self, path: Path, device: torch.device) -> None:
        """The inverse of `write`; nothing in the file is executed."""
        try:
            content = torch.load(path, map_location=device, weights_only=True)
            theirs = json.loads(content["settings"])
        except Exception as error:  # damaged bytes fail in torch's reader in as many ways as there are bytes
            raise TedmError(
                f"{path} is no training state that can be read ({type(error).__name__}); delete it and start again"
            ) from error
        ours = json.loads(json.dumps(asdict(self.settings)))  # as JSON has it: lists in place of tuples
        raise_listed(
            f"cannot resume {path}: it was made with other settings (repeat them, or name another checkpoint)",
            [
                f"{name.replace('_', ' ')}: the state has {_short(theirs.get(name))}, this run asks for {_short(value)}"
                for name, value in ours.items()
                if theirs.get(name) != value
            ],
        )
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.iteration = int(content["iteration"])


@contextlib.contextmanager
def _deferred_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM while an iteration must not be cut in two, and deliver the first when the block is left.

    A second Ctrl-C is delivered at once. In another thread than the main one there are no signals to collect.
    """
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield arrived
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # a process that ignores a signal (nohup) is to go on doing so; one whose handler is not Python's keeps it
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def collect(number: int, frame: object) -> None:
        arrived.append(number)
        restore()

    for number in before:
        signal.signal(number, collect)
    try:
        yield arrived
    finally:
        restore()
    if arrived:
        signal.raise_signal(arrived[0])


def _require_images(images: NDArray[np.float32]) -> None:
    if images.ndim != 4 or len(images) == 0 or images.shape[1] == 0:
        raise TedmError(f"no images to train on: got an array of shape {images.shape}, expected (images, channels, side, side)")
    if images.shape[2] != images.shape[3]:
        raise TedmError(f"images of {images.shape[2]} x {images.shape[3]} pixels are not square; pad or stretch them first")
    low, high = float(images.min()), float(images.max())
    if images.dtype != np.float32 or not (0 <= low <= high <= 1):
        raise TedmError(
            f"images for training are float32 from 0, black, to 1, white; got {images.dtype} from {low:g} to {high:g}. "
            "Divide by the file type's white."
        )


def _require_numbers(iterations: int, batch_size: int, learning_rate: float, state_every: int) -> None:
    problems = [
        f"{name} is {value}; use at least 1"
        for name, value in {"iterations": iterations, "batch size": batch_size, "state every": state_every}.items()
        if value < 1
    ]
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        problems.append(f"learning rate is {learning_rate:g}; use a number above zero, for example 1e-4")
    raise_listed("cannot train", problems)


def _require_clear_way(checkpoint: Path, state: Path, *, resume: bool) -> None:
    if not checkpoint.parent.is_dir():
        raise TedmError(f"there is no folder {checkpoint.parent} for the checkpoint; make it first")
    if resume and not state.exists():
        raise TedmError(f"there is nothing to resume: no {state}; leave out --resume to start from random weights")
    if not resume and state.exists():
        raise TedmError(f"an unfinished run lies at {state}; ask to --resume it, or delete it to start again")
    if not resume and checkpoint.exists():
        raise TedmError(f"{checkpoint} is there already; delete it, or name another checkpoint")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else text[:12] + "..."
