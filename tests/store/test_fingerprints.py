"""Whether an image has been seen: a table of cases, and the rule by hand for any images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.store import Labels
from tedm.store.fingerprints import Fingerprint, Pictures, digest


def picture(number: int) -> np.ndarray:
    """The same picture for the same number; 0 is a blank one."""
    return np.random.default_rng(number).random((4, 4, 1), dtype=np.float32) * (number > 0)


@dataclass(frozen=True)
class Image:
    name: str
    group: str
    domain: str
    number: int

    @property
    def print(self) -> Fingerprint:
        return Fingerprint(self.name, self.group, self.domain, digest(picture(self.number)))


class Collection:
    """Features of which nobody needs activations; it counts which images are read."""

    def __init__(self, images: list[Image], absent: tuple[str, ...] = ()) -> None:
        columns = [tuple(getattr(image, field) for image in images) for field in ("name", "group", "domain")]
        names, groups, domains = columns
        self.labels = Labels(names, ("",) * len(images), groups, domains, ((4, 4),) * len(images), (16,) * len(images), (0, 1))
        self._numbers = {image.name: image.number for image in images}
        self._absent, self.read = absent, []

    def image(self, name: str) -> np.ndarray:
        if name in self._absent:
            raise TedmError(f"image {name} is not in the store yet")
        self.read.append(name)
        return picture(self._numbers[name])


def test_a_digest_is_that_of_8_bits_and_of_the_shape():
    image = picture(1)
    assert digest(image) == digest(np.rint(image * 255) / 255) == digest(image.astype(np.float64))
    for parts in (1, 2, 4, 8):  # of a grey value: what resizing to a half or a quarter gives
        resized = np.rint(image * 254 * parts) / (255 * parts)
        assert digest(resized - 1e-6) == digest(resized + 1e-6)
    assert digest(image) != digest(image.reshape(2, 8, 1))
    assert digest(image) != digest(image[::-1])
    changed = image.copy()
    changed[0, 0] = 1 - changed[0, 0]
    assert digest(image) != digest(changed)
    assert len(digest(image)) == 64


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_image_has_no_digest(value):
    assert digest(np.full((4, 4, 1), value, np.float32)) == ""


LEARNED = Image("p0", "p0", "a", 1)
SLICE = Image("s0", "anna", "a", 1)
OLD = Fingerprint("p0")
CASES = {
    "the same picture": ([LEARNED.print], [LEARNED], "picture"),
    "the same picture under another name, elsewhere": ([LEARNED.print], [Image("x", "x", "b", 1)], "picture"),
    "another hospital's file of the same name": ([LEARNED.print], [Image("p0", "p0", "b", 2)], None),
    "a new file of the same name and hospital": ([LEARNED.print], [Image("p0", "p0", "a", 2)], None),
    "an older head's name": ([OLD], [Image("p0", "p0", "b", 2)], "name"),
    "an older head's name, its domain known": ([replace(OLD, domain="a")], [Image("p0", "p0", "b", 2)], None),
    "an older head's name in features without domains": ([replace(OLD, domain="a")], [Image("p0", "p0", "", 2)], "name"),
    "a blank picture of the same name": ([Image("p0", "p0", "a", 0).print], [Image("p0", "p0", "a", 0)], "name"),
    "a blank picture of another name": ([Image("p0", "p0", "a", 0).print], [Image("p1", "p1", "a", 0)], None),
    "another slice of a patient": ([SLICE.print], [Image("s1", "anna", "a", 2)], "group"),
    "a patient of the same name elsewhere": ([SLICE.print], [Image("s1", "anna", "b", 2)], None),
    "another slice beside the one that was seen": ([LEARNED.print], [Image("s1", "anna", "b", 2), SLICE], "group"),
    "another slice beside an older head's name": ([OLD], [Image("s1", "anna", "b", 2), Image("p0", "anna", "b", 3)], "group"),
    "a group that is merely a name": ([LEARNED.print], [Image("p0", "p0", "a", 2)], None),
    "an image that has the name of its patient": (
        [Image("s1", "p0", "a", 3).print],
        [Image("p0", "p0", "a", 2), Image("s2", "p0", "a", 4)],
        "group",
    ),
    "no group": ([Image("s0", "", "a", 1).print], [Image("s1", "", "a", 2), Image("s2", "", "a", 1)], None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_image_counts_as_seen_for_the_reason(case):
    seen, images, by = CASES[case]
    matches = Pictures(Collection(images)).matches([images[0].name], seen)
    assert [match.by for match in matches] == ([] if by is None else [by])
    assert [match.seen for match in matches] == ([] if by is None else seen)


def test_the_reason_names_what_was_seen():
    images = [Image("x", "x", "b", 1), Image("s1", "anna", "a", 2), Image("p0", "p0", "b", 3)]
    seen = [LEARNED.print, Image("s0", "anna", "a", 4).print, Fingerprint("p0")]
    assert [match.reason for match in Pictures(Collection(images)).matches(["x", "s1", "p0"], seen)] == [
        "x is the same picture as p0",
        "s1 is of the same group anna as s0",
        "p0 has the same name as p0",
    ]


NUMBERS, DOMAINS = st.integers(0, 4), st.sampled_from(["", "a", "b"])


@st.composite
def collections(draw):
    names = draw(st.lists(st.sampled_from("uvwxyz"), unique=True, min_size=1))
    return [Image(name, draw(st.sampled_from(["", name, "g", "w"])), draw(DOMAINS), draw(NUMBERS)) for name in names]


@given(collections(), collections(), st.lists(st.builds(Fingerprint, st.sampled_from("uvwxyz"), domain=DOMAINS)), st.booleans())
def test_the_rule_by_hand(images, learned, older, whole_groups):
    seen = [*(image.print for image in learned), *older]

    def itself(image: Image) -> bool:
        return any(
            one.digest == image.print.digest
            if one.digest
            else one.name == image.name and ("" in (one.domain, image.domain) or one.domain == image.domain)
            for one in seen
        )

    def by_group(image: Image) -> bool:
        mates = [mate for mate in images if mate.group == image.group]
        declared = any(mate.group != mate.name for mate in mates)
        known = [(one.group, one.domain) for one in seen if one.group != one.name]
        return bool(image.group) and (any(map(itself, mates)) or (declared and (image.group, image.domain) in known))

    expected = [image.name for image in images if itself(image) or (whole_groups and by_group(image))]
    names = [image.name for image in images]
    assert [match.name for match in Pictures(Collection(images)).matches(names, seen, groups=whole_groups)] == expected


def test_only_what_is_asked_about_and_its_group_is_read_and_once():
    images = [Image(f"s{number}", f"g{number // 2}", "a", number + 1) for number in range(8)]
    features = Collection(images)
    pictures = Pictures(features)
    for _ in range(2):
        assert pictures.matches(["s0", "s5"], [Image("t", "t", "b", 20).print]) == []
    assert sorted(features.read) == ["s0", "s1", "s4", "s5"]
    names_alone = Collection(images)
    Pictures(names_alone).matches(["s0", "s5"], [OLD])
    assert names_alone.read == []


def test_an_absent_image_of_the_group_is_compared_by_its_name():
    images = [Image("s0", "anna", "a", 1), Image("s1", "anna", "a", 2)]
    pictures = Pictures(Collection(images, absent=("s1",)))
    assert pictures.matches(["s0"], [Image("t", "t", "a", 9).print]) == []
    (match,) = pictures.matches(["s0"], [Image("s1", "s1", "a", 2).print])
    assert match.by == "group"
    with pytest.raises(TedmError, match="not in the store yet"):
        pictures.matches(["s1"], [Image("t", "t", "a", 9).print])
    with pytest.raises(TedmError, match="there is no image nobody"):
        pictures.matches(["nobody"], [])
