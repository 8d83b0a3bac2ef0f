"""The files of a training run.

A state has all that a run goes on from: the average, the weights as they are, and Adam's moments. It is a checkpoint as well,
since the average has the names that a checkpoint's tensors have and readers leave the other names alone. A checkpoint is a
state without the moments, or a file in the published format; of a contrasted network, the average alone, less its projection.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tedm.errors import TedmError, raise_listed
from tedm.extract.backbones import Backbone, tedm
from tedm.extract.backbones.family import METADATA_KEY
from tedm.files import write_whole
from tedm.jsons import JsonObject, JsonValue

from .curve import LossCurve
from .denoiser import Denoiser
from .learner import Learner

Format = Literal["safetensors", "published"]

REMEDY = "make room or choose another path"
LAST = "last."  # the weights of the last iteration, under the names that the average has
MOMENTS = ("exp_avg", "exp_avg_sq")  # Adam's, under these names and the parameters' own


def write_checkpoint(learner: Learner, path: Path, *, format: Format = "safetensors") -> None:
    """Write the average for all readers, and the last weights for those who know of them; all at once or not at all.

    Parameters
    ----------
    learner : Learner
        Its settings are written too.
    path : Path
        The file; one that is there is replaced.
    format : {"safetensors", "published"}
        Safetensors with JSON metadata, the last weights under `last.model.`; or a `.pt` as the published TEDM writes and reads
        it, with Adam's state, and the last weights as `last_model_state_dict`.

    Raises
    ------
    TedmError
        If the file cannot be written.
    """
    if format == "published":
        assert isinstance(learner, Denoiser), "the published format is that of a diffusion model"
        content = _published(learner)
    else:
        tensors = _weights(learner) if learner.last_in_checkpoint else _plain(learner.content().tensors)
        content = safetensors.torch.save(tensors, _metadata(learner, {"settings": learner.settings.to_json()}))
    write_whole(path, content, remedy=REMEDY)


def write_state(learner: Learner, curve: LossCurve, path: Path) -> None:
    """Write what `read_state` goes on from, all at once or not at all.

    Raises
    ------
    TedmError
        If the file cannot be written.
    """
    tensors = _weights(learner)
    for name, moments in zip(
        learner.trained(), learner.optimizer.state_dict()["state"].values(), strict=bool(learner.iteration)
    ):
        tensors |= {f"adam.{moment}.{name}": moments[moment].cpu().contiguous() for moment in MOMENTS}
    training: JsonObject = {
        "settings": learner.settings.to_json(),
        "curve": curve.to_json(),
        "arithmetic": _arithmetic(learner),
        "tensors": _digest(tensors),
    }
    write_whole(path, safetensors.torch.save(tensors, _metadata(learner, training)), remedy=REMEDY)


def read_state(learner: Learner, path: Path) -> tuple[LossCurve, list[str]]:
    """Put a learner, made with the same settings, where the file has it; nothing in the file is executed.

    Returns
    -------
    LossCurve
        Of the run so far.
    list of str
        In what the computer differs from the one that wrote the file, so that the last bits may.

    Raises
    ------
    TedmError
        If the file is damaged or something else, or of a run with other settings: each is named.
    """
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            content = json.loads(file.metadata()[METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (the file is not a mapping)
        training, iteration = content["training"], int(content["step"])
        theirs, whole = training["settings"], training["tensors"] == _digest(tensors)
        curve, arithmetic = LossCurve.from_json(training["curve"]), dict(training["arithmetic"])
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = type(error).__name__ if isinstance(error, (KeyError, TypeError, AttributeError)) else str(error).splitlines()[0]
        raise _damaged(path, cause) from error
    if not whole:
        raise _damaged(path, "its tensors are not those that were written")
    ours = learner.settings.to_json()
    raise_listed(
        f"cannot resume {path}: it was made with other settings (repeat them, or name another checkpoint)",
        [
            f"{name.replace('_', ' ')}: the state has {_short(theirs.get(name))}, this run asks for {_short(ours.get(name))}"
            for name in {**ours, **theirs}
            if theirs.get(name, ...) != ours.get(name, ...)
        ],
    )
    learner.restore(learner.network, {name.removeprefix(LAST): each for name, each in tensors.items() if name.startswith(LAST)})
    learner.restore(learner.average, tensors)
    if iteration:
        known = learner.optimizer.state_dict()
        known["state"] = {
            index: {
                "step": torch.tensor(float(iteration)),
                # memory of its own: a file has its tensors at any address, and last bits can depend on that
                **{moment: tensors[f"adam.{moment}.{name}"].clone() for moment in MOMENTS},
            }
            for index, name in enumerate(learner.trained())
        }
        learner.optimizer.load_state_dict(known)
    learner.iteration = iteration
    here = _arithmetic(learner)
    return curve, [
        f"{name}: the state has {arithmetic.get(name)}, this run has {value}"
        for name, value in here.items()
        if arithmetic.get(name) != value
    ]


def state_path(checkpoint: Path) -> Path:
    """Return where the state of an unfinished run lies: beside its checkpoint."""
    return checkpoint.with_name(checkpoint.name + ".training")


def numbered_path(checkpoint: Path, iteration: int) -> Path:
    """Return where the checkpoint of an iteration on the way lies: beside the last one.

    Examples
    --------
    >>> numbered_path(Path("runs/ddpm.safetensors"), 500).name
    'ddpm-500.safetensors'
    """
    return checkpoint.with_name(f"{checkpoint.stem}-{iteration}{checkpoint.suffix}")


def _weights(learner: Learner) -> dict[str, Tensor]:
    last = {LAST + name: tensor for name, tensor in learner.named(learner.network).items()}
    return _plain({**learner.content().tensors, **learner.named(learner.average), **last})


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _metadata(learner: Learner, training: JsonObject) -> dict[str, str]:
    content = {"config": dict(learner.content().config), "step": learner.iteration, "training": dict(training)}
    return {METADATA_KEY: json.dumps(content, sort_keys=True)}


def _published(learner: Denoiser) -> bytes:
    """Return what the published code saves, by its names; its schedule's arrays are in float32."""
    settings, backbone = learner.settings, learner.backbone()
    content = tedm.content(backbone)
    content_config = {name: value for name, value in content.config.items() if name != "family"}
    config = argparse.Namespace(
        **{**content_config, "dim_mults": settings.multipliers},
        p2_loss_weight_gamma=0.0,
        p2_loss_weight_k=1.0,
        lr=settings.learning_rate,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    average = {name: tensor.cpu() for name, tensor in content.tensors.items() if name.startswith(tedm.PREFIX)}
    last = {tedm.PREFIX + name: tensor.detach().cpu() for name, tensor in learner.network.state_dict().items()}
    buffers = _schedule_buffers(backbone)
    saved = {
        "model_state_dict": {**buffers, **average},
        "last_model_state_dict": {**buffers, **last},
        "optimizer_state_dict": learner.optimizer.state_dict(),
        "config": config,
        "step": learner.iteration,
    }
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    return buffer.getvalue()


def _schedule_buffers(backbone: Backbone) -> dict[str, Tensor]:
    """Return the arrays that the published diffusion object keeps beside its network, each of shape (T,)."""
    left = backbone.schedule.alphas_cumprod
    left_before = np.concatenate([[1.0], left[:-1]])
    alphas = left / left_before
    betas = 1 - alphas
    variance = betas * (1 - left_before) / (1 - left)
    arrays = {
        "sqrt_alphas_cumprod": np.sqrt(left),
        "sqrt_recip_alphas_cumprod": np.sqrt(1 / left),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / left - 1),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - left),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
        "posterior_mean_coef1": betas * np.sqrt(left_before) / (1 - left),
        "posterior_mean_coef2": (1 - left_before) * np.sqrt(alphas) / (1 - left),
        "p2_loss_weight": np.ones_like(left),
    }
    return {name: torch.from_numpy(array).float() for name, array in arrays.items()}


def _arithmetic(learner: Learner) -> dict[str, JsonValue]:
    """Return what decides the last bits and is no setting."""
    return {"device": learner.device.type, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name].numpy()).data)
    return digest.hexdigest()


def _damaged(path: Path, cause: str) -> TedmError:
    return TedmError(f"{path} is no training state that can be read ({cause}); delete it and start again")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else text[:12] + "..."
