"""Weights that a method of a study starts from."""

from __future__ import annotations

from typing import cast

from tedm.errors import TedmError
from tedm.extract.pretrain import read_pretrained
from tedm.heads import StartingHead
from tedm.networks.pretrained import Pretrained
from tedm.study.trial.spec import MethodAsked, Study


def weights_of(study: Study, method: MethodAsked) -> Pretrained | None:
    """Return the weights that a method starts from; None where it names none.

    Raises
    ------
    TedmError
        If they cannot be read.
    """
    if method.checkpoint is None:
        return None
    return read_pretrained(study.path(method.checkpoint))


def require_weights(study: Study, method: MethodAsked, images: tuple[int, int] | None = None) -> None:
    """Refuse a method without the weights that it starts from, with others, or with some that it does not take.

    Parameters
    ----------
    study : Study
    method : MethodAsked
    images : tuple of (channels, pixels a side), or None
        What the study's images are, where that is known.

    Raises
    ------
    TedmError
        Of one line.
    """
    head = method.unfitted()
    if method.checkpoint is None:
        if head.capabilities.starts and cast(StartingHead, head).needs_weights():
            raise TedmError("it starts from weights; name their file with checkpoint, tedm-pretrain makes it")
    elif not head.capabilities.starts:
        raise TedmError("checkpoint names weights to start from, and it starts from none; leave it out")
    elif not study.path(method.checkpoint).exists():
        raise TedmError(f"the checkpoint {study.path(method.checkpoint)} does not exist; make it with tedm-pretrain")
    elif (weights := weights_of(study, method)) is not None:
        cast(StartingHead, head).start_from(weights)
        if images is not None:
            weights.require_images(*images)
