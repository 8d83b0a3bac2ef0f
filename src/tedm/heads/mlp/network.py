"""The MLP as a network: several members side by side, the first layer on native cells or on rows.

C -> 128 -> 32 -> classes (256 -> 128 from 30 classes on), ReLU, then batch normalisation after each hidden layer (TEDM,
arXiv:2311.07421; LEDM, arXiv:2112.03126). Every tensor has a leading axis of members, so that an ensemble is one network. Rows
of random pixels go through all members at once; whole images through one member after the other, and are never made into rows
(`tedm.heads.mlp.layers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tedm.heads.data.rows import RowLayout
from tedm.heads.mlp.dropout import Dropout
from tedm.heads.mlp.layers import EPSILON, Cells, first_layer, normalised_layer, statistics
from tedm.heads.mlp.row_layers import Layers, RowSteps, moments, rounded_product
from tedm.store import IGNORE
from tedm.store.settings import Upsampling
from tedm.threads import one_thread_each

MOMENTUM = 0.1
MANY_CLASSES = 30
# Bytes of what is in flight in a prediction, above which there is one member and timestep at a time.
AT_ONCE = 128 << 20


def hidden_sizes(classes: int) -> tuple[int, int]:
    """Return the widths of the two hidden layers, as LEDM chose them."""
    return (128, 32) if classes < MANY_CLASSES else (256, 128)


def parameter_shapes(members: int, features: int, hidden: Sequence[int], classes: int) -> dict[str, tuple[int, int, int]]:
    """Return the shapes of a `Committee`'s weights and statistics by their names in its state, without making one.

    Examples
    --------
    >>> parameter_shapes(2, 5, [], 3)
    {'weights.0': (2, 5, 3), 'biases.0': (2, 1, 3)}
    """
    widths = [features, *hidden, classes]
    shapes = {f"weights.{layer}": (members, fan_in, fan_out) for layer, (fan_in, fan_out) in enumerate(pairwise(widths))}
    shapes |= {f"biases.{layer}": (members, 1, fan_out) for layer, fan_out in enumerate(widths[1:])}
    for layer, width in enumerate(hidden):
        names = (f"scales.{layer}", f"shifts.{layer}", f"mean_{layer}", f"variance_{layer}")
        shapes |= dict.fromkeys(names, (members, 1, width))
    return shapes


class Committee(nn.Module):
    """Members of one architecture, independent of each other.

    Parameters
    ----------
    members : int
        How many.
    features : int
        Length of a row.
    hidden : sequence of int
        Widths of the hidden layers.
    classes : int
        Outputs.
    generator : torch.Generator
        Of the initial weights (torch's defaults for a linear layer), drawn member by member, so that the first members of a
        larger ensemble are those of a smaller one.
    """

    def __init__(self, members: int, features: int, hidden: Sequence[int], classes: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [features, *hidden, classes]
        shapes = list(pairwise(widths))
        drawn = [[_initial(fan_in, fan_out, generator) for fan_in, fan_out in shapes] for _ in range(members)]
        self.weights = nn.ParameterList([torch.stack([m[layer][0] for m in drawn]) for layer in range(len(shapes))])
        self.biases = nn.ParameterList([torch.stack([m[layer][1] for m in drawn]) for layer in range(len(shapes))])
        self.scales = nn.ParameterList([torch.ones(members, 1, width) for width in hidden])
        self.shifts = nn.ParameterList([torch.zeros(members, 1, width) for width in hidden])
        for layer, width in enumerate(hidden):
            self.register_buffer(f"mean_{layer}", torch.zeros(members, 1, width))
            self.register_buffer(f"variance_{layer}", torch.ones(members, 1, width))
        # Classes that a training pixel shows; the others have no chance, rather than a chance that nothing was learned about.
        self.register_buffer("seen", torch.ones(classes, dtype=torch.bool))
        # What features lack to the mean 0 and the deviation 1, while it is trained so; `settle` works it into the first layer.
        self.inputs: tuple[Tensor, Tensor] | None = None
        # Whether layers but the last multiply in bfloat16 while they are trained on rows; predictions are always float32.
        self.rounds = False
        self._steps: RowSteps | None = None  # while it is trained on rows

    def forward(self, rows: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Return logits (members, rows, classes) of rows of shape (members, rows, features) or (1, rows, features).

        In evaluation, of classes that no training pixel showed: minus infinity. In training the first layer multiplies in
        bfloat16 where `rounds` says so; of rows that are bfloat16 already nothing is lost in that.
        """
        rows = self._standardised(rows)
        if self.training and self.rounds:
            x = rounded_product(rows.to(torch.bfloat16), self.weights[0], self.biases[0])
        elif self.training:
            x = torch.baddbmm(self.biases[0], rows.expand(len(self.weights[0]), -1, -1), self.weights[0])
        else:
            x = rows @ self.weights[0] + self.biases[0]
        for layer in range(len(self.scales)):
            x = self._normalised(torch.relu(x), layer)
            x = (x if dropout is None else dropout(x)) @ self.weights[layer + 1] + self.biases[layer + 1]
        return x if self.training else x.masked_fill(~self.get_buffer("seen"), -torch.inf)

    def learn_rows(
        self,
        rows: Tensor,
        labels: Tensor,
        class_weight: Tensor | None,
        smoothing: float = 0.0,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """Leave gradients of the losses on rows in the parameters, and move the running statistics on.

        The same as `mean_losses(self(rows, dropout), labels).sum().backward()`, up to rounding. Without dropout it takes fewer
        passes, and all layers but the last multiply in bfloat16 where `rounds` says so.

        Parameters
        ----------
        rows : tensor of shape (members, rows, features)
        labels : tensor of shape (members, rows)
            Class indices, int64.
        class_weight : tensor of shape (classes,) or None
        smoothing : float
            See `mean_losses`.
        dropout : Dropout or None

        Returns
        -------
        tensor of shape (members,)
            Losses.
        """
        # The members share no weight: the sum of their mean losses trains each as if it were alone.
        if dropout is not None:
            self.zero_grad(set_to_none=True)
            losses = mean_losses(self(rows, dropout), labels, class_weight, smoothing)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            return losses.detach()
        if self._steps is None:
            self._steps = RowSteps(self._layers(), rounds=self.rounds)
        with torch.no_grad():
            logits = self._steps.forward(self._standardised(rows))
            for layer, (mean, variance) in enumerate(self._steps.statistics()):
                self._follow(mean, variance, rows.shape[1], layer)
        losses, gradient = losses_and_gradient(logits, labels, class_weight, smoothing)
        with torch.no_grad():
            found = self._steps.backward(gradient)
        own = self._layers()
        for parameters, gradients in (
            (own.weights, found.weights),
            (own.biases, found.biases),
            (own.scales, found.scales),
            (own.shifts, found.shifts),
        ):
            for parameter, its in zip(parameters, gradients, strict=True):
                parameter.grad = its.contiguous()
        return losses

    def learn_images(
        self,
        cells: Sequence[Cells],
        labels: Tensor,
        class_weight: Tensor | None,
        size: int,
        upsampling: Upsampling,
        rows: RowLayout,
        smoothing: float = 0.0,
    ) -> Tensor:
        """Leave gradients of the losses on whole images in the parameters, and move the running statistics on.

        The same as `mean_losses(self(rows), labels).sum().backward()`, up to rounding. One member after the other, so that what
        is in memory is one member's (`tedm.heads.mlp.layers.working_bytes`); the cells are there for all.

        Parameters
        ----------
        cells : sequence of sequences of tensors of shape (timesteps, draws, side, side, channels)
            Levels of each image, in the store's type.
        labels : tensor of shape (rows of all images,)
            Class indices, int64.
        class_weight : tensor of shape (classes,) or None
        size : int
            Side of the image in pixels.
        upsampling, rows
            How cells become pixels, and these rows.
        smoothing : float
            See `mean_losses`.

        Returns
        -------
        tensor of shape (members,)
            Losses.
        """
        losses = []
        parameters = list(self.parameters())
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
        for member in range(len(self.weights[0])):
            own = {id(parameter): parameter[member].detach().requires_grad_() for parameter in parameters}
            first = self._on_features(own[id(self.weights[0])], own[id(self.biases[0])])
            x = first_layer(cells, *first, size, upsampling, rows)
            for layer in range(len(self.scales)):
                now = statistics(x)
                self._follow(*now, len(x), layer, member)
                scale, shift = own[id(self.scales[layer])], own[id(self.shifts[layer])]
                weight, bias = own[id(self.weights[layer + 1])], own[id(self.biases[layer + 1])]
                x = normalised_layer(x, scale, shift, weight, bias, *now)
            loss = mean_losses(x[None], labels[None], class_weight, smoothing)
            del x  # not needed behind the loss: let it go before the way back
            gradients = torch.autograd.grad(loss, list(own.values()))
            for parameter, gradient in zip(parameters, gradients, strict=True):
                assert parameter.grad is not None  # see above
                parameter.grad[member].copy_(gradient)
            losses.append(loss.detach())
        return torch.cat(losses)

    @torch.inference_mode()
    def probabilities(self, cells: Sequence[Tensor], size: int, upsampling: Upsampling, rows: RowLayout) -> Tensor:
        """Return class probabilities of one image's rows, for prediction.

        The same as a softmax of `self(rows)` in evaluation mode, up to rounding: a member and a timestep at a time, so that
        what is in flight stays in the processor's cache, and with each normalisation folded into the layer after it. On a CPU
        several at once where they take little memory.

        Parameters
        ----------
        cells : sequence of tensors of shape (timesteps, draws, side, side, channels)
            One for each level, in the store's type.
        size, upsampling, rows
            As in `learn_images`.

        Returns
        -------
        tensor of shape (members, rows, classes)
        """
        layers = self._folded()
        weights, biases = self._on_features(self.weights[0], self.biases[0])
        timesteps, draws = cells[0].shape[:2]
        members = len(self.weights[0])
        if rows == "share":
            parts = [[level[timestep : timestep + 1] for level in cells] for timestep in range(timesteps)]
        else:
            parts = [list(cells)]
        per_part = draws * size**2
        out = torch.empty(members, len(parts) * per_part, layers[-1][0].shape[-1], device=cells[0].device)

        @torch.inference_mode()  # of each thread
        def compute(member: int, number: int) -> None:
            x = first_layer([parts[number]], weights[member], biases[member], size, upsampling, rows)
            for weight, bias in layers:
                x = torch.addmm(bias[member], x.relu_(), weight[member])
            torch.softmax(x, dim=-1, out=out[member, number * per_part : (number + 1) * per_part])

        each = [(member, number) for member in range(members) for number in range(len(parts))]
        at_once = min(torch.get_num_threads(), len(each)) * per_part * sum(weight.shape[-1] for weight in self.weights) * 4
        if out.device.type == "cpu" and at_once <= AT_ONCE:
            one_thread_each(compute, *zip(*each, strict=True))
        else:
            for one in each:
                compute(*one)
        return out

    @torch.no_grad()
    def settle(self) -> None:
        """Work the standardisation of the features into the first layer: the network then is one for features as they are.

        What steps on rows have kept is let go of.
        """
        weights, biases = self._on_features(self.weights[0], self.biases[0])
        self.weights[0].copy_(weights)
        self.biases[0].copy_(biases)
        self.inputs = self._steps = None

    def _layers(self) -> Layers:
        return Layers(list(self.weights), list(self.biases), list(self.scales), list(self.shifts))

    def _standardised(self, rows: Tensor) -> Tensor:
        if self.inputs is None:
            return rows
        offset, factor = self.inputs
        return (rows - offset) * factor

    def _on_features(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a first layer (..., features, width) and (..., 1, width) of standardised features is for others."""
        if self.inputs is None:
            return weight, bias
        offset, factor = self.inputs
        weight = factor[:, None] * weight
        return weight, bias - offset @ weight if weight.ndim == 2 else bias - (offset @ weight)[:, None]

    def _folded(self) -> list[tuple[Tensor, Tensor]]:
        """Return the layers after the first, each with the normalisation before it."""
        layers = []
        for layer in range(len(self.scales)):
            factor = self.scales[layer] * torch.rsqrt(self.get_buffer(f"variance_{layer}") + EPSILON)
            offset = self.shifts[layer] - self.get_buffer(f"mean_{layer}") * factor
            weight = self.weights[layer + 1]
            layers.append((factor.transpose(1, 2) * weight, offset @ weight + self.biases[layer + 1]))
        weight, bias = layers[-1]
        layers[-1] = weight, bias.masked_fill(~self.get_buffer("seen"), -torch.inf)
        return layers

    def _follow(self, mean: Tensor, variance: Tensor, count: int, layer: int, member: int | slice = slice(None)) -> None:
        """Move the running statistics towards those of a batch of so many rows."""
        with torch.no_grad():
            self.get_buffer(f"mean_{layer}")[member].lerp_(mean, MOMENTUM)
            self.get_buffer(f"variance_{layer}")[member].lerp_(variance * (count / max(count - 1, 1)), MOMENTUM)

    def _normalised(self, x: Tensor, layer: int) -> Tensor:
        mean, variance = self.get_buffer(f"mean_{layer}"), self.get_buffer(f"variance_{layer}")
        if self.training:
            mean, variance = moments(x)
            self._follow(mean.detach(), variance.detach(), x.shape[1], layer)
        factor: Tensor = self.scales[layer] * torch.rsqrt(variance + EPSILON)
        normalised: Tensor = x * factor + (self.shifts[layer] - mean * factor)
        return normalised


def mean_losses(logits: Tensor, labels: Tensor, class_weight: Tensor | None, smoothing: float = 0.0) -> Tensor:
    """Return each member's cross-entropy, the mean over labelled rows weighted by class; zero where no row counts.

    Parameters
    ----------
    logits : tensor of shape (members, rows, classes)
    labels : tensor of shape (members, rows)
        Class indices, int64; `IGNORE` where there is no label.
    class_weight : tensor of shape (classes,) or None
    smoothing : float
        Part of a label that is given to all classes alike.

    Returns
    -------
    tensor of shape (members,)
    """
    # Classes are the second axis there: where rows are neighbours, as `RowSteps` leaves them, logits stay as they lie.
    across = logits.stride(1) == 1
    each = cross_entropy(
        logits.transpose(1, 2) if across else logits.reshape(labels.numel(), -1),
        labels if across else labels.reshape(-1),
        weight=class_weight,
        ignore_index=IGNORE,
        reduction="none",
        label_smoothing=smoothing,
    )
    counts: Tensor = labels != IGNORE
    if class_weight is not None:
        counts = counts * class_weight[torch.where(counts, labels, 0)]
    return each.view(labels.shape).sum(dim=1) / _weights(labels, class_weight)


def losses_and_gradient(
    logits: Tensor, labels: Tensor, class_weight: Tensor | None, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return `mean_losses`, and the gradient of their sum by the logits, both to the bit.

    Without smoothing by torch's kernels alone: what leads to them takes longer than they do.
    """
    if smoothing:
        logits = logits.detach().requires_grad_()
        losses = mean_losses(logits, labels, class_weight, smoothing)
        return losses.detach(), torch.autograd.grad(losses.sum(), logits)[0]
    with torch.no_grad():
        aten, none = torch.ops.aten, 0  # no reduction
        logs = torch.log_softmax(logits.mT, dim=1)
        as_image = logs.unsqueeze(2), labels.unsqueeze(1), class_weight, none, IGNORE
        each, total = aten.nll_loss2d_forward(*as_image)
        weights = _weights(labels, class_weight)
        share = (1 / weights).to(logs.dtype)[:, None, None].expand_as(each)
        gradient = aten.nll_loss2d_backward(share, *as_image, total).squeeze(2)
        gradient = aten._log_softmax_backward_data(gradient, logs, 1, logs.dtype).mT
        return each.squeeze(1).sum(dim=1) / weights, gradient


def _weights(labels: Tensor, class_weight: Tensor | None) -> Tensor:
    """Return the weight of each member's labelled rows; one where there are none."""
    counts: Tensor = labels != IGNORE
    if class_weight is not None:
        counts = counts * class_weight[torch.where(counts, labels, 0)]
    total = counts.sum(dim=1)
    return torch.where(total > 0, total, 1)


def _initial(fan_in: int, fan_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw weights and biases by torch's default for `nn.Linear`: uniform within 1 / sqrt(fan_in)."""
    bound = fan_in**-0.5
    weight = (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) * bound
    bias = (torch.rand(1, fan_out, generator=generator) * 2 - 1) * bound
    return weight, bias
