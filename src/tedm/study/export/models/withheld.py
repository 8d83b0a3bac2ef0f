"""A head without the names of the images and patients that it was made from.

A head records them, so that nothing is scored on what it has seen. Where it leaves the house they may be nobody's business:
names of files are often made of the names or numbers of patients. Digests of the pictures stay: they tell whoever has a
picture that it was seen, and nobody else anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tedm.heads import Segmenter
from tedm.store.fingerprints import Fingerprint


def without_names(head: Segmenter) -> Segmenter:
    """Return the same head with numbers in place of names.

    Parameters
    ----------
    head : Segmenter

    Returns
    -------
    Segmenter
        It predicts the same bits. Training and validation images are "withheld image 1" and so on, their groups "withheld group
        1", their domains are not told; nor are the patients whose voxels a normalisation is over. An image is still known by
        its picture, but other images of its group are not unless such a picture is among them.
    """
    about = head.provenance
    seen = {image: number for number, image in enumerate(dict.fromkeys(about.seen), 1)}
    groups: dict[tuple[str, str], int] = {}
    for image in seen:
        groups.setdefault((image.declared_group, image.domain), len(groups) + 1)

    def withheld(images: Sequence[Fingerprint]) -> tuple[Fingerprint, ...]:
        return tuple(
            Fingerprint(
                name := f"withheld image {seen[image]}",
                f"withheld group {groups[image.declared_group, image.domain]}"
                if image.declared_group
                else image.group and name,
                digest=image.digest,
            )
            for image in images
        )

    normalisation = head.settings.normalisation
    if normalisation is not None:
        patients = tuple(f"withheld patient {number}" for number, _ in enumerate(normalisation.patients, 1))
        normalisation = replace(normalisation, patients=patients)
    return replace(
        head,
        settings=replace(head.settings, normalisation=normalisation),
        provenance=replace(about, learned_from=withheld(about.learned_from), chosen_on=withheld(about.chosen_on)),
    )
