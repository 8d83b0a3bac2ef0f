"""Where the numbers of a result come from, as pairs of a label and a value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tedm.heads import N_COUNTS, Record, Segmenter, VotingRule, class_names, identity_of
from tedm.store import Features, FeatureSettings
from tedm.study.report.examples import training_images
from tedm.text import counted, listed

if TYPE_CHECKING:
    from tedm.heads import Findings  # all that probes with it, which other results do not need

# Settings that are in the words about every head; the others are told where they are not the default.
SAID = {"timesteps", "rows", "head", "members", "vote", "training split", "training domain"}


def about_features(features: Features, what: str) -> list[tuple[str, str]]:
    """Return what the features are: images, levels, timesteps, noise, checkpoint, arithmetic and storage."""
    settings, arithmetic, storage = features.settings, features.arithmetic, features.storage
    noise = f"noise {settings.noise}, seed {settings.noise_seed}, {counted(settings.draws, 'draw')} a timestep"
    size = f"{settings.image_size} x {settings.image_size} pixels"
    return [
        ("store", what),
        ("images", features.labels.summary()),
        ("features", f"{size}; {_levels(settings)}; {settings.upsampling} upsampling"),
        ("timesteps", f"{listed(settings.timesteps)}; {noise}"),
        ("checkpoint", f"SHA-256 {settings.checkpoint_sha256}"),
        ("computed as", f"{arithmetic.precision} on {arithmetic.device}, kept as {storage.dtype}, {storage.layout}"),
    ]


def about_heads(
    heads: Mapping[str, Segmenter], names: Mapping[str, str], rule: VotingRule | None, timesteps: Sequence[int] | None
) -> list[tuple[str, str]]:
    """Return a line for each kind of head: those that differ in training images and seed alone share it.

    Parameters
    ----------
    heads : mapping of str to Segmenter
    names : mapping of str to str
        By the same keys, the names in records.
    rule, timesteps
        What was asked for at evaluation.
    """
    alike: dict[tuple[str, str], list[Segmenter]] = defaultdict(list)
    for key, head in heads.items():
        method, used = head.method, head.timesteps(timesteps)
        members = f", {method.members} members" if method.members > 1 else ""
        voting = f"{'timesteps' if len(used) > 1 else 'timestep'} {listed(used)}, {rule or method.vote} vote"
        reads = "looks at images" if method.looks_at_images else f"rows {method.rows}; {voting}"
        learned = f"from {head.provenance.domain or 'all domains'}, {head.provenance.split or 'any'} split"
        words = f"{method.head}{members}, {reads}; {learned}"
        further = [
            setting.phrase
            for setting in identity_of(head, rule=rule, timesteps=timesteps).settings
            if setting.name not in SAID and setting.value != setting.usual
        ]
        alike[f"head {names[key]}", "; ".join([words, *([", ".join(further)] if further else [])])].append(head)
    lines = []
    for (label, words), group in alike.items():
        counts = group[0].provenance.n_counts
        numbers = {
            "n" if counts == "images" else f"n, {N_COUNTS[counts]}": [training_images(head) for head in group],
            "seed": [head.provenance.seed for head in group],
            "labels used, val included": [head.provenance.labels_used for head in group],
        }
        if counts != "images":
            numbers["images"] = [len(head.provenance.images) for head in group]
        told = "; ".join(f"{what}: {listed(sorted(set(values)))}" for what, values in numbers.items())
        lines.append((label, f"{words}; {told}"))
    return lines


def about_records(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return what was scored: images by domain and split, and the mask values."""
    images: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in records:
        images[record.domain or "no domain", record.split or "no split"].add(record.image)
    scored = ", ".join(f"{domain} {split}: {len(names)} images" for (domain, split), names in images.items())
    classes = sorted({record.class_value for record in records})
    background = ", the first of them the background" if len(classes) > 1 else ""
    names = class_names(records)
    told = listed(f"{value} ({names[value]})" if names[value] else value for value in classes)
    return [("scored on", scored), ("mask values", f"{told}{background}")]


def about_findings(features: Features, findings: Findings, what: str) -> list[tuple[str, str]]:
    """Return what was probed, and how many images it took."""
    settings, plan = features.settings, findings.plan
    training = {name for subset in plan.subsets for name in subset.images}
    return [
        ("store", what),
        ("images", features.labels.summary()),
        ("backbone", f"{settings.checkpoint_sha256[:12]}..., {settings.image_size} x {settings.image_size} pixels"),
        ("timesteps", listed(settings.timesteps)),
        ("levels", _levels(settings)),
        ("training images", f"{len(training)} at most, of sizes {listed(plan.sizes)}"),
        ("labels used", f"n for every fit, and {plan.val} of val for what is chosen"),
    ]


def _levels(settings: FeatureSettings) -> str:
    return listed(f"{level.name} ({level.channels} channels, stride {level.stride})" for level in settings.levels)
