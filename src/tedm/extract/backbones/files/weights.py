"""Which of the tensors in a file are the network's, and under which names.

Training codes keep weights beside optimisers, keep averaged ones beside those of the last iteration, and wrap networks in
others that put a prefix before every name. Averaged weights are taken where a file has both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

# where training codes keep averaged weights, and the others
AVERAGED = (
    "ema", "ema_state_dict", "model_ema", "ema_model", "state_dict_ema", "ema_model_state_dict", "model_ema_state_dict",
    "ema_unet", "unet_ema", "ema_unet_state_dict", "unet_ema_state_dict", "ema_net", "net_ema", "averaged_model", "params_ema",
)  # fmt: skip
PLAIN = (
    "model_state_dict", "state_dict", "model", "unet", "unet_state_dict", "net", "network", "net_state_dict",
    "network_state_dict", "module", "params", "weights", "diffusion",
)  # fmt: skip
COUNTERS = ("n_averaged", "initted", "step", "decay", "num_updates")  # of averages, beside their weights
WRAPPERS = re.compile(r"(^|(?<=\.))(module|_orig_mod|_forward_module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
BUFFERS = ("alphas_cumprod", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod")  # of the noise schedule
DEEPEST = 4  # dictionaries in dictionaries, and prefixes before a name


@dataclass(frozen=True)
class Weights:
    """The tensors of a network.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Without the names of wrappers for several GPUs and compilers.
    schedule : mapping of str to Tensor
        Buffers of the noise schedule, wherever the file has them, by their own names.
    remarks : tuple of str
        What was chosen, where there was a choice.
    """

    tensors: Mapping[str, Tensor]
    schedule: Mapping[str, Tensor] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def choose_weights(loaded: object) -> Weights | None:
    """Return the weights in what a file holds; None if there are none."""
    found = _state_in(loaded, ())
    if found is None:
        return None
    path, state = found
    other = _plain_beside(loaded, path)
    remarks: list[str] = []
    if other is not None:
        remarks.append(_chosen(".".join(path), ".".join(other[0])))
    tensors, prefix = _averaged_part(state)
    if (
        prefix
        and len(tensors) < len(state)
        and any(not name.startswith(prefix) and each.ndim > 1 for name, each in state.items())
    ):
        remarks.append(_chosen(f"{prefix}*", "under other names"))
    if other is None and isinstance(loaded, Mapping):
        remarks += [
            f"the averaged weights '{key}' have no names, so those of the last iteration are used"
            for key in AVERAGED
            if _shadows(loaded, key) and path[:1] != (key,)
        ]
    tensors = {name: each for name, each in tensors.items() if each.ndim or name.split(".")[-1] not in COUNTERS}
    return Weights(plain_names(tensors), _schedule([state, *([other[1]] if other else [])]), tuple(remarks))


def plain_names(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return names without what wrappers for several GPUs and compilers put before them."""
    plain = {WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    return plain if len(plain) == len(tensors) else tensors


def under_prefix(
    tensors: Mapping[str, Tensor], recognises: Callable[[Mapping[str, Tensor]], bool]
) -> tuple[list[str], Mapping[str, Tensor]]:
    """Find a network below a prefix, as Lightning and other wrappers put one before every name.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Under their names in the file.
    recognises : callable
        Whether tensors are those of a network that is known.

    Returns
    -------
    list of str
        The prefixes below which there is such a network; none of them is below another.
    mapping of str to Tensor
        The tensors below the first, as the network has them; some networks have names that begin with "model.".
    """
    prefixes = {""} | {
        "".join(f"{part}." for part in name.split(".")[:deep])
        for name in tensors
        for deep in range(1, min(name.count("."), DEEPEST) + 1)
    }
    found: dict[str, Mapping[str, Tensor]] = {}
    for prefix in sorted(prefixes, key=lambda each: (each.count("."), each)):
        if any(prefix.startswith(each) for each in found):
            continue
        below = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
        bare = {f"model.{name}": each for name, each in below.items() if name.split(".")[-1] not in BUFFERS}
        for named in (below, bare):
            if recognises(named):
                found[prefix] = named
                break
    return list(found), next(iter(found.values()), tensors)


def _state_in(value: object, path: tuple[str, ...]) -> tuple[tuple[str, ...], Mapping[str, Tensor]] | None:
    """Return where a state dictionary is within dictionaries, averaged weights first, and the dictionary."""
    if not isinstance(value, Mapping) or len(path) > DEEPEST:
        return None
    for key in (*AVERAGED, *PLAIN):
        named = _named_shadows(value, key)
        if named is not None:
            return (*path, key), named
        found = _state_in(value.get(key), (*path, key))
        if found is not None:
            return found
    tensors = {name: each for name, each in value.items() if isinstance(name, str) and isinstance(each, Tensor)}
    return (path, tensors) if any(each.ndim for each in tensors.values()) else None


def _plain_beside(loaded: object, path: Sequence[str]) -> tuple[tuple[str, ...], Mapping[str, Tensor]] | None:
    """Return the weights of the last iteration beside averaged ones."""
    if not isinstance(loaded, Mapping) or not path or path[0] not in AVERAGED:
        return None
    for key in PLAIN:
        found = _state_in(loaded.get(key), (key,))
        if found is not None:
            return found
    return None


def _averaged_part(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return the averaged weights that a state dictionary has beside others under a prefix, and the prefix; else all."""
    for key in AVERAGED:
        prefix = f"{key}."
        part = {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
        if any(each.ndim for each in part.values()):
            # one way of averaging keeps names without their dots
            dotless = {name.removeprefix("model.").replace(".", ""): name for name in state if name.startswith("model.")}
            return {dotless.get(name, name): each for name, each in part.items()}, prefix
    return dict(state), ""


def _shadows(value: Mapping[object, object], key: str) -> list[Tensor]:
    """Return averaged weights that are kept as a list."""
    average = value.get(key)
    shadows = average.get("shadow_params") if isinstance(average, Mapping) else None
    return [each for each in shadows if isinstance(each, Tensor)] if isinstance(shadows, list) else []


def _named_shadows(value: Mapping[object, object], key: str) -> Mapping[str, Tensor] | None:
    """Give averaged weights in a list the names of the others, where they are as many and of the same shapes."""
    shadows = _shadows(value, key)
    if not shadows:
        return None
    for plain in PLAIN:
        found = _state_in(value.get(plain), (plain,))
        if found and [each.shape for each in found[1].values()] == [each.shape for each in shadows]:
            return dict(zip(found[1], shadows, strict=True))
    return None


def _schedule(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {}
    for state in states:
        for name, each in state.items():
            if name.split(".")[-1] in BUFFERS:
                found.setdefault(name.split(".")[-1], []).append(each)
    return {name: each[0] for name, each in found.items()}


def _chosen(averaged: str, plain: str) -> str:
    return f"the averaged weights ({averaged}) are used, not those of the last iteration ({plain})"
