"""Whether an image has been seen: by its picture, or by its name where there is no picture to compare.

Names do not settle it: two hospitals may number their files alike, and a copy may have another name. What a head learns from
or is chosen on is therefore recorded as fingerprints, and images are compared with these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store.arrays import DamagedError
from tedm.store.features import Features

TURN = 0.1  # of a grey value


@dataclass(frozen=True)
class Fingerprint:
    """An image that something was learned from, or chosen on.

    Parameters
    ----------
    name : str
        Its name in the features that it was read from.
    group : str
        Its group there; "" if that is not known.
    domain : str
        Its domain there; "" if that is not known.
    digest : str
        What `digest` returns for it; "" if it is constant, or was not recorded.
    """

    name: str
    group: str = ""
    domain: str = ""
    digest: str = ""

    @property
    def declared_group(self) -> str:
        """The group, or "" if it is merely the image's own name, which a manifest without groups gives it."""
        return "" if self.group == self.name else self.group

    def same_image(self, other: Fingerprint) -> bool:
        """Whether both are of one picture, or of one name where one of them has no digest."""
        return self.digest == other.digest if self.digest and other.digest else self.name == other.name


@dataclass(frozen=True)
class Match:
    """An image that counts as seen.

    Parameters
    ----------
    name : str
        The image.
    by : {"picture", "name", "group"}
        Why it counts: it is the picture that was seen, has its name, or belongs to a group of which an image was seen.
    seen : Fingerprint
        What was seen.
    group : str
        The image's own group.
    """

    name: str
    by: Literal["picture", "name", "group"]
    seen: Fingerprint
    group: str

    @property
    def reason(self) -> str:
        """Why it counts as seen, as a clause."""
        if self.by == "group":
            return f"{self.name} is of the same group {self.group} as {self.seen.name}"
        same = "is the same picture as" if self.by == "picture" else "has the same name as"
        return f"{self.name} {same} {self.seen.name}"


class Pictures:
    """The images of some features as they are compared with what was seen; each is read and digested once at most.

    Only images that are asked about are read, and the others of their groups where they may decide: 1.5 ms of one core for an
    image of 64 x 64 pixels in a local store (of 600 images), of which the digest is 0.03 ms. Where nothing that was seen has a
    digest, no image is read.

    Parameters
    ----------
    features : Features
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        labels = features.labels
        rows = zip(labels.names, labels.groups, labels.domains, strict=True)
        self._unread = {name: Fingerprint(name, group, domain) for name, group, domain in rows}
        self._members: dict[str, list[str]] = defaultdict(list)
        for name, group in zip(labels.names, labels.groups, strict=True):
            self._members[group].append(name)
        self._digests: dict[str, str] = {}

    def fingerprints(self, names: Sequence[str]) -> list[Fingerprint]:
        """Return the fingerprint of each of the named images; a `TedmError` if one cannot be read."""
        return [Fingerprint(name, self._of(name).group, self._of(name).domain, self._digest(name)) for name in names]

    def matches(self, names: Sequence[str], seen: Sequence[Fingerprint], *, groups: bool = True) -> list[Match]:
        """Return those of the named images that count as seen.

        An image counts as seen if

        * its digest is among those of `seen`; or
        * a fingerprint without a digest has its name, and the same domain where both domains are known; or
        * its group was seen: another image of the group in these features counts by one of the two rules above, or a
          fingerprint has the same declared group and the same domain.

        Parameters
        ----------
        names : sequence of str
            Images of the features.
        seen : sequence of Fingerprint
            What was learned from, or chosen on.
        groups : bool
            Whether a group counts; otherwise the first two rules decide.

        Returns
        -------
        list of Match
            In the order of `names`.

        Raises
        ------
        TedmError
            If there is no such image, or it has to be read and cannot be.
        """
        known = _Seen(seen)
        seen_of: dict[tuple[str, str], Fingerprint | None] = {}
        matches: list[Match] = []
        for name in names:
            image = self._of(name)
            one = known.same(image, self._digest(name) if known.by_digest else "")
            if one is not None:
                matches.append(Match(name, "picture" if one.digest else "name", one, image.group))
            elif groups and image.group:
                at = image.group, image.domain
                if at not in seen_of:
                    seen_of[at] = self._seen_of_group(known, *at)
                if (one := seen_of[at]) is not None:
                    matches.append(Match(name, "group", one, image.group))
        return matches

    def _seen_of_group(self, known: _Seen, group: str, domain: str) -> Fingerprint | None:
        """Return what was seen of a group, the group as a whole or one of its images here; None if nothing was."""
        members = [self._unread[name] for name in self._members[group]]
        if (group, domain) in known.by_group and any(member.declared_group for member in members):
            return known.by_group[group, domain]
        for member in members:
            one = known.same(member, self._digest_if_there(member.name) if known.by_digest else "")
            if one is not None:
                return one
        return None

    def _of(self, name: str) -> Fingerprint:
        self._features.labels.index(name)  # refuses a name that is not there
        return self._unread[name]

    def _digest(self, name: str) -> str:
        if name not in self._digests:
            self._digests[name] = digest(self._features.image(name))
        return self._digests[name]

    def _digest_if_there(self, name: str) -> str | None:
        """Return None for an image that the features do not have yet; what is damaged is refused."""
        try:
            return self._digest(name)
        except DamagedError:
            raise
        except TedmError:
            return None


class _Seen:
    """Fingerprints by what they are looked up by; the first of equals counts."""

    def __init__(self, fingerprints: Sequence[Fingerprint]) -> None:
        self.by_digest = {one.digest: one for one in reversed(fingerprints) if one.digest}
        self.by_group = {(one.declared_group, one.domain): one for one in reversed(fingerprints) if one.declared_group}
        self._by_name: dict[str, list[Fingerprint]] = defaultdict(list)
        for one in fingerprints:
            self._by_name[one.name].append(one)

    def same(self, image: Fingerprint, digest: str | None) -> Fingerprint | None:
        """Return the fingerprint of this picture, or of its name where there is no picture to compare.

        Parameters
        ----------
        image : Fingerprint
            Its name and its domain are compared.
        digest : str or None
            None for an image that is absent: its name alone decides.
        """
        if digest and digest in self.by_digest:
            return self.by_digest[digest]
        for one in self._by_name.get(image.name, ()):
            comparable = bool(one.digest) and digest is not None
            if not comparable and (one.domain == image.domain or not one.domain or not image.domain):
                return one
        return None


def digest(image: NDArray[np.floating]) -> str:
    """Return the SHA-256 of an image's shape and of its pixels, rounded to 8 bits.

    Rounded, so that the last bits of resizing do not matter.

    Parameters
    ----------
    image : array of shape (size, size, channels)
        As features keep it, in [0, 1].

    Returns
    -------
    str
        Hexadecimal; "" for an image that is constant after rounding (a blank slice), which identifies nobody.
    """
    # Halves and quarters between two grey values are common after resizing: they must not lie where rounding turns.
    levels = np.rint(np.clip(image, 0, 1) * 255 + TURN).clip(0, 255).astype(np.uint8)
    if levels.min() == levels.max():
        return ""
    return sha256(repr(levels.shape).encode() + levels.tobytes()).hexdigest()


def fingerprints(features: Features, names: Sequence[str]) -> list[Fingerprint]:
    """Return the fingerprint of each of the named images, reading each once; see `Pictures` for what that costs.

    Raises
    ------
    TedmError
        If there is no such image, or it cannot be read.
    """
    return Pictures(features).fingerprints(names)


def digest_of_masks(features: Features, names: Sequence[str]) -> str:
    """Return the SHA-256 of the masks of some images, whatever their order."""
    of = sha256()
    for name in sorted(names):
        of.update(f"{name}\0".encode())
        of.update(features.mask(name).tobytes())
    return of.hexdigest()


def digest_of_pictures(features: Features, names: Sequence[str]) -> str:
    """Return the SHA-256 of the pictures of some images, rounded as in `digest`, whatever their order."""
    return sha256(
        "".join(f"{each.name}\0{each.digest}\0" for each in fingerprints(features, sorted(names))).encode()
    ).hexdigest()
