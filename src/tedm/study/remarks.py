"""What whoever uses a head should know, in sentences: that features differ, that a temperature is not applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tedm.heads import Segmenter, VotingRule
from tedm.store import Features
from tedm.store.settings import MAY_DIFFER, differences

# Parts of the arithmetic whose difference is worth a remark, with their names in it.
ARITHMETIC = {"device": "device", "precision": "precision"}


def differences_from_store(features: Features, heads: Iterable[Segmenter]) -> list[str]:
    """Return what may differ between the features of heads and those that they are used on, and does; each difference once."""
    names = {"us": "the head's store", "them": "these features"}
    lines = {
        line
        for head in heads
        if not head.method.looks_at_images  # of activations; it looks at none
        for line in (
            *differences(head.settings, features.settings, MAY_DIFFER, **names),
            *differences(head.arithmetic, features.arithmetic, ARITHMETIC, **names),
        )
    }
    return [f"note: {line}" for line in sorted(lines)]


def remarks_on_votes(
    heads: Mapping[str, Segmenter], rule: VotingRule | None = None, timesteps: Sequence[int] | None = None
) -> list[str]:
    """Return a sentence for each head whose vote is another one than it learned for.

    Its temperature is then not applied, or it is asked at timesteps at which it did not learn.
    """
    votes = {name: head.vote(rule, timesteps) for name, head in heads.items()}
    reasons = [
        (name, reason)
        for name, head in heads.items()
        for reason in (head.timesteps_not_learned(votes[name]), head.temperature_not_applied(votes[name]))
        if reason
    ]
    return [f"note: {name}: {reason}" for name, reason in reasons]
