"""A head and its backbone as one network: an image and noise in, probabilities out.

What tedm does in many steps, and out of core, is one graph here: intensities to the backbone's range, noise at the head's
timesteps, the UNet up to its taps, activations rounded as the head's store rounds them, the classifier on native cells with
its product upsampled, and the vote. It computes in float32, all timesteps and draws as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.extract import Backbone
from tedm.heads import JURIES, CommitteeHead, LogisticHead, MLPHead, Segmenter
from tedm.store import FeatureSettings
from tedm.store.layout import bilinear_matrix
from tedm.study.export.models.ballots import Ballot
from tedm.text import listed

EPSILON = 1e-5  # of batch normalisation, as in training


class Chain(nn.Module):
    """All that a head does to an image, at feature resolution, but for its specks.

    Parameters
    ----------
    head : Segmenter
        Of a kind that `require_tensors` lets pass.
    backbone : Backbone
        The head's own, at the head's levels, in float32 on the CPU.
    """

    def __init__(self, head: Segmenter, backbone: Backbone) -> None:
        super().__init__()
        settings, vote = head.settings, head.vote()
        timesteps = vote.timesteps
        self.draws, self.concatenated = settings.draws, head.method.rows == "concatenate"
        self.noised = settings.noise != "none"
        black, white = settings.input_range
        self.black, self.contrast = black, white - black
        shares = backbone.schedule.alphas_cumprod[list(timesteps)]
        for name, share in (("image_share", shares), ("noise_share", 1 - shares)):
            self.register_buffer(name, torch.from_numpy(np.sqrt(share)).float().view(-1, 1, 1, 1, 1))
        self.register_buffer("times", torch.tensor(timesteps).repeat_interleave(self.draws))
        self.tapped = _Tapped(backbone)
        self.classifier = _classifier(head)
        self.smoothing = _Smoothing(settings.image_size, head.method.smoothing) if head.method.smoothing else nn.Identity()
        voters = head.method.members * self.draws * (1 if self.concatenated else len(timesteps))
        self.ballot = Ballot(vote, voters)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of what it takes."""
        size, channels = self.classifier.size, self.tapped.channels
        shapes: dict[str, tuple[int, ...]] = {"image": (1, channels, size, size)}
        if self.noised:
            shapes["noise"] = (len(self.get_buffer("image_share")), self.draws, channels, size, size)
        return shapes

    def forward(self, image: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Segment an image.

        Parameters
        ----------
        image : Tensor of shape (1, channels, size, size)
            In [0, 1].
        noise : Tensor of shape (timesteps, draws, channels, size, size), or None
            Standard normal numbers; None where the head's features have none.

        Returns
        -------
        probabilities : Tensor of shape (1, classes, size, size)
            The vote's.
        opinions : Tensor of shape (voters, classes, size, size)
            What each voter thinks, in the order of `Segmenter.opinions`.
        """
        x_t = self.get_buffer("image_share") * (image * self.contrast + self.black)
        x_t = x_t.expand(-1, self.draws, -1, -1, -1)
        if noise is not None:
            x_t = x_t + self.get_buffer("noise_share") * noise
        cells = self.tapped(x_t.flatten(0, 1), self.get_buffer("times"))
        if self.concatenated:  # a row has its timesteps side by side: (draws, timesteps x channels, y, x)
            cells = [level.unflatten(0, (-1, self.draws)).transpose(0, 1).flatten(1, 2) for level in cells]
        opinions: Tensor = self.smoothing(self.classifier(cells))
        return self.ballot(opinions), opinions


def require_tensors(head: Segmenter, name: str) -> None:
    """Refuse a head that is no chain of tensors from a backbone's activations to a vote, before any work.

    Raises
    ------
    TedmError
        With what can be done instead.
    """
    if head.method.looks_at_images:
        raise TedmError(
            f"--onnx is for heads on a backbone's activations, and {name} ({head.method.name}) looks at images; leave out "
            "--onnx"
        )
    if head.method.name in JURIES and isinstance(head.estimator, CommitteeHead):
        raise TedmError(
            f"--onnx is for the heads mlp and logistic, and {name} ({head.method.name}) has a network besides; leave out "
            "--onnx, or fit its MLPs alone (tedm-fit --method ledme --views 8 --sampling root --specks 0.1)"
        )
    if not isinstance(head.estimator, (MLPHead, LogisticHead)):
        raise TedmError(
            f"--onnx is for the heads mlp and logistic, whose numbers are tensors, and {name} is {head.method.head}; leave "
            "out --onnx, or fit one of these two (tedm-fit --head)"
        )


class _Tapped(nn.Module):
    """The backbone up to its taps; what comes after the last of them is no part of the graph."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network, self.taps, self.channels = backbone.network, backbone.taps, backbone.image_channels

    def forward(self, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
        seen: dict[str, Tensor] = {}

        def keep(tap: str) -> Callable[[nn.Module, object, Tensor], None]:
            # a copy: what comes next may compute in place
            return lambda module, inputs, output: seen.__setitem__(tap, output.clone())

        hooks = [self.network.get_submodule(tap).register_forward_hook(keep(tap)) for tap in self.taps]
        try:
            self.network(x_t, timesteps)
        finally:
            for hook in hooks:
                hook.remove()
        return [seen[tap] for tap in self.taps]


class _Upsampling(nn.Module):
    """Cells (batch, channels, side, side) to pixels; see `tedm.store.layout.upsample`."""

    def __init__(self, settings: FeatureSettings, stride: int) -> None:
        super().__init__()
        self.stride, self.nearest = stride, settings.upsampling == "nearest"
        if stride > 1 and not self.nearest:
            matrix = bilinear_matrix(settings.image_size // stride, settings.image_size).astype(np.float32)
            self.register_buffer("matrix", torch.from_numpy(matrix))

    def forward(self, cells: Tensor) -> Tensor:
        if self.stride == 1:
            return cells
        if not self.nearest:
            matrix = self.get_buffer("matrix")
            return matrix @ cells @ matrix.T
        batch, channels, height, width = cells.shape
        patches = cells[:, :, :, None, :, None].expand(-1, -1, -1, self.stride, -1, self.stride)
        return patches.reshape(batch, channels, height * self.stride, width * self.stride)


class _Smoothing(nn.Module):
    """The Gaussian of `tedm.heads.segmenter.shapes.smoothed`, as one matrix for rows and columns."""

    def __init__(self, size: int, deviation: float) -> None:
        super().__init__()
        from scipy.ndimage import gaussian_filter1d

        matrix = gaussian_filter1d(np.eye(size), deviation, axis=0, mode="nearest").astype(np.float32)
        self.register_buffer("matrix", torch.from_numpy(matrix))

    def forward(self, opinions: Tensor) -> Tensor:
        matrix = self.get_buffer("matrix")
        return matrix @ opinions @ matrix.T


class _Rows(nn.Module):
    """What all classifiers begin with: a linear layer on native cells, its product upsampled and summed over levels.

    Parameters
    ----------
    head : Segmenter
    weight : Tensor of shape (features, width)
    bias : Tensor of shape (width,)
    """

    def __init__(self, head: Segmenter, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        settings, timesteps = head.settings, len(head.method.timesteps) if head.method.rows == "concatenate" else 1
        by_timestep, start = weight.float().view(timesteps, settings.channels, -1), 0
        for number, level in enumerate(settings.levels):
            part = by_timestep[:, start : start + level.channels].flatten(0, 1)
            self.register_buffer(f"weight_{number}", part.T[:, :, None, None].contiguous())
            start += level.channels
        self.register_buffer("bias", bias.float())
        self.upsampled = nn.ModuleList([_Upsampling(settings, level.stride) for level in settings.levels])

    def forward(self, cells: Sequence[Tensor]) -> Tensor:
        """Map levels (rows, features, side, side) to (rows, width, size, size)."""
        total = self.get_buffer("bias")[:, None, None]
        for number, (level, upsample) in enumerate(zip(cells, self.upsampled, strict=True)):
            total = total + upsample(nn.functional.conv2d(level, self.get_buffer(f"weight_{number}")))
        return total


class _Classifier(nn.Module):
    """From cells to what each voter thinks: (voters, classes, size, size)."""

    size: int

    def forward(self, cells: Sequence[Tensor]) -> Tensor:
        raise NotImplementedError


class _Logistic(_Classifier):
    def __init__(self, head: Segmenter, estimator: LogisticHead) -> None:
        super().__init__()
        self.size = head.settings.image_size
        self.rows = _Rows(head, torch.from_numpy(estimator.coef_.T.copy()), torch.from_numpy(estimator.intercept_))

    def forward(self, cells: Sequence[Tensor]) -> Tensor:
        logits = self.rows(cells)
        if logits.shape[1] == 1:  # one output stands for two classes
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        probabilities: Tensor = logits.softmax(1)
        return probabilities


class _MLP(_Classifier):
    """The members one after the other, each normalisation worked into the layer after it."""

    def __init__(self, head: Segmenter, estimator: MLPHead) -> None:
        super().__init__()
        self.size = head.settings.image_size
        network = estimator.network_.cpu()
        members = range(len(network.weights[0]))
        first = zip(network.weights[0].detach(), network.biases[0].detach(), strict=True)
        self.rows = nn.ModuleList([_Rows(head, weight, bias[0]) for weight, bias in first])
        self.depth = len(network.scales)
        for layer in range(self.depth):
            mean, variance = (network.get_buffer(f"{what}_{layer}") for what in ("mean", "variance"))
            factor = (network.scales[layer] * torch.rsqrt(variance + EPSILON)).detach()
            offset = (network.shifts[layer] - mean * factor).detach()
            weight, bias = network.weights[layer + 1].detach(), network.biases[layer + 1].detach()
            bias = offset @ weight + bias
            if layer + 1 == self.depth:
                bias = bias.masked_fill(~network.get_buffer("seen"), -torch.inf)
            folded = factor.transpose(1, 2) * weight
            for member in members:
                self.register_buffer(f"weight_{member}_{layer}", folded[member].T[:, :, None, None].contiguous())
                self.register_buffer(f"bias_{member}_{layer}", bias[member, 0])

    def forward(self, cells: Sequence[Tensor]) -> Tensor:
        opinions = []
        for member, rows in enumerate(self.rows):
            x = rows(cells)
            for layer in range(self.depth):
                weight, bias = (self.get_buffer(f"{what}_{member}_{layer}") for what in ("weight", "bias"))
                x = nn.functional.conv2d(x.relu(), weight) + bias[:, None, None]
            opinions.append(x.softmax(1))
        return torch.cat(opinions)


def _classifier(head: Segmenter) -> _Classifier:
    match head.estimator:
        case MLPHead() as estimator:
            return _MLP(head, estimator)
        case LogisticHead() as estimator:
            return _Logistic(head, estimator)
    raise TypeError(f"no chain of {listed([type(head.estimator).__name__])}")
