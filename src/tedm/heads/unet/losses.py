"""What a segmentation network minimises: cross-entropy, alone or beside the Dice loss as nnU-Net has it.

The Dice loss is that of the soft masks of all images of a batch together, the mean over the classes after the first (the
background) that training shows (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z). Pixels without a label count in neither.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from tedm.store import IGNORE

LossName = Literal["dice+ce", "ce"]
# MONAI's and nnU-Net's: a class that nobody shows or predicts has a Dice of 1.
SMOOTH = 1e-5
# A class without a chance has a logit of minus infinity: its loss is large, not infinite, where only a val image shows it.
LEAST_LOGIT = -1e4


def segmentation_loss(
    logits: Tensor, labels: Tensor, loss: LossName, *, seen: Tensor, class_weight: Tensor | None = None
) -> Tensor:
    """Return the loss of a batch.

    Parameters
    ----------
    logits : tensor of shape (images, classes, height, width)
    labels : tensor of shape (images, height, width)
        Class indices, int64; `IGNORE` where there is no label.
    loss : {"dice+ce", "ce"}
        The sum of both, or cross-entropy alone.
    seen : tensor of shape (classes,)
        Whether a training pixel shows the class: the Dice loss is of these.
    class_weight : tensor of shape (classes,) or None
        What a pixel of each class counts in the cross-entropy, a mean weighted by it.

    Returns
    -------
    tensor of shape ()
        Zero where no pixel has a label.
    """
    logits = logits.clamp(min=LEAST_LOGIT)
    entropy = _cross_entropy(logits, labels, class_weight)
    return entropy if loss == "ce" else entropy + _dice_loss(logits, labels, seen)


def _cross_entropy(logits: Tensor, labels: Tensor, class_weight: Tensor | None) -> Tensor:
    # as rows: with whole images torch sums in no fixed order on a GPU
    rows, flat = logits.movedim(1, -1).reshape(-1, logits.shape[1]), labels.reshape(-1)
    each = functional.cross_entropy(rows, flat, weight=class_weight, ignore_index=IGNORE, reduction="none")
    counts = (flat != IGNORE).to(each.dtype)
    if class_weight is not None:
        counts = counts * class_weight[torch.where(flat != IGNORE, flat, 0)]
    total = counts.sum()
    return each.sum() / torch.where(total > 0, total, 1)


def _dice_loss(logits: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
    classes = logits.shape[1]
    labelled = labels != IGNORE
    truth = functional.one_hot(torch.where(labelled, labels, 0), classes).movedim(-1, 1) * labelled[:, None]
    soft = logits.softmax(dim=1) * labelled[:, None]
    over = (0, 2, 3)
    both, either = (soft * truth).sum(over), soft.sum(over) + truth.sum(over)
    each = 1 - (2 * both + SMOOTH) / (either + SMOOTH)
    counted = seen.to(each.dtype)[1:]
    mean: Tensor = (each[1:] * counted).sum() / counted.sum().clamp(min=1)
    return mean
