"""What holds for every head, whatever its kind: a kind's test inherits `HeadSuite` and says which head it is.

The fixtures that it asks for (`make_store`, `make_split_store`, `write_store`) are those of `tests/heads/conftest.py`.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from inspect import signature
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from tedm.errors import TedmError
from tedm.heads import Provenance, Segmenter, evaluate, fit, load_head, method_named, save_head
from tedm.heads.base.head import Head, HeadOptions
from tedm.heads.base.registry import head_class, known_heads, make_head, remake_head
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows, gather_rows
from tedm.store import IGNORE, Block, FeatureStore

LAYOUTS = ["share", "concatenate"]
TIMESTEPS = (1, 50, 400)
MakeStore = Callable[..., FeatureStore]


class HeadSuite:
    """Inherit, and say which head it is and how it is fitted quickly."""

    head: str  # what --head takes
    members = 1
    options = HeadOptions()
    params: Mapping[str, Any] = {}
    # Options by which validation images decide something in the fit; None if this kind never needs any.
    validated: HeadOptions | None = None
    # For rows in memory, of which scikit-learn's checks have few.
    checked_params: Mapping[str, Any] = {}
    expected_failed_checks: Mapping[str, str] = {}

    def make(self, options: HeadOptions | None = None, *, seed: int = 0, members: int | None = None) -> Head:
        """An unfitted head."""
        method = {"members": members or self.members, "vote": "soft", "pixels_per_batch": 32}
        return make_head(self.head, options or self.options, self.params, seed=seed, from_method=method)

    def fitted(self, store: FeatureStore, rows: str = "share", *, seed: int = 0, **where: Any) -> Head:
        """A head that was fitted on all images of a store."""
        return self.make(seed=seed).fit_blocks(training_data(store, rows), **where)

    def segmenter(self, store: FeatureStore, options: HeadOptions | None = None) -> Segmenter:
        """The same through the library's own door."""
        method = method_named("tedm", timesteps=TIMESTEPS, head=self.head, members=self.members)
        given = {name: value for name, value in asdict(options or self.options).items() if value is not None}
        return fit(store, method, params=self.params, **given)

    def test_scikit_learns_contract_holds(self) -> None:
        head = make_head(self.head, self.options, {**self.params, **self.checked_params})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the checks' tiny data
            expected = dict(self.expected_failed_checks)
            results = check_estimator(head, expected_failed_checks=expected, on_skip=None, on_fail=None)
        failed = [result for result in results if result["status"] == "failed"]
        assert not failed, [(result["check_name"], result["exception"]) for result in failed]

    def test_its_capabilities_are_arguments_of_its_constructor(self) -> None:
        capabilities, known = head_class(self.head).capabilities, signature(head_class(self.head)).parameters
        assert set(capabilities.options) <= {field.name for field in fields(HeadOptions)}
        assert set(capabilities.options.values()) | capabilities.from_method <= set(known)
        assert capabilities.from_method <= {"members", "vote", "pixels_per_batch"}
        assert (capabilities.takes_seed, capabilities.takes_device) == ("seed" in known, "device" in known)
        assert capabilities.members == ("members" in known)
        assert {capabilities.named_by, capabilities.parameters} - {None} <= set(known)
        assert self.head.partition(":")[0] in known_heads()

    def test_it_has_the_members_that_it_was_asked_for(self, make_store: MakeStore) -> None:
        store = make_store()
        head = self.make(members=2).fit_blocks(training_data(store))
        assert len(head.opinions(store.block("one"), "share")) == (2 if head.capabilities.members else 1)
        if not head.capabilities.members:
            with pytest.raises(TedmError, match="members of .* would be equal"):
                method_named("tedm", head=self.head, members=2)

    def test_it_predicts_from_rows_if_it_says_so(self, make_store: MakeStore) -> None:
        store = make_store()
        head = self.fitted(store)
        makers = [gather_rows.__code__, dense_rows.__code__, Block.at_image_resolution.__code__]
        with calls_of(makers) as called:
            head.opinions(store.block("two"), "share")
        assert bool(called) == head.capabilities.takes_rows

    @pytest.mark.parametrize("rows", LAYOUTS)
    def test_opinions_are_probabilities_for_every_row(self, make_store: MakeStore, rows: str) -> None:
        store = make_store(values=(0, 3, 7), draws=2)
        head = self.fitted(store, rows)
        block = store.block("three")
        opinions = head.opinions(block, rows)  # type: ignore[arg-type]
        dense = dense_rows(block, rows)  # type: ignore[arg-type]
        assert opinions.shape == (self.members, len(dense), 3)
        assert np.issubdtype(opinions.dtype, np.floating)
        assert (opinions >= 0).all()
        np.testing.assert_allclose(opinions.sum(axis=2), 1, rtol=0, atol=1e-5)
        assert opinions.std(axis=1).max() > 0.01
        assert (head.classes_.tolist(), head.n_features_in_) == ([0, 1, 2], dense.shape[1])

    @pytest.mark.parametrize("rows", LAYOUTS)
    def test_native_equals_upsampled(self, make_store: MakeStore, rows: str) -> None:
        stores = [make_store(layout=layout, draws=2) for layout in ("native", "upsampled")]
        native, upsampled = (self.fitted(store, rows).opinions(store.block("two"), rows) for store in stores)  # type: ignore[arg-type]
        assert native.tobytes() == upsampled.tobytes()

    def test_opinions_do_not_depend_on_other_images_and_timesteps(self, make_store: MakeStore) -> None:
        store = make_store()
        head = self.fitted(store)
        first = head.opinions(store.block("two"), "share")
        others = [head.opinions(store.block(name), "share") for name in ("one", "three")]
        assert not any(np.array_equal(first, other) for other in others)
        assert head.opinions(store.block("two"), "share").tobytes() == first.tobytes()
        alone = head.opinions(store.block("two").at([50]), "share")
        np.testing.assert_allclose(alone, first[:, 64:128], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("rows", LAYOUTS)
    def test_a_class_that_no_pixel_shows_gets_nothing(self, make_store: MakeStore, tmp_path: Path, rows: str) -> None:
        store = make_store(values=(0, 7, 9), shown=(0, 2))
        head = self.fitted(store, rows)
        head.save(tmp_path)
        again = restored(head, self.head, tmp_path, classes=3)
        for each in (head, again):
            opinions = each.opinions(store.block("one"), rows)  # type: ignore[arg-type]
            assert not opinions[..., 1].any()
            np.testing.assert_allclose(opinions.sum(axis=2), 1, rtol=0, atol=1e-5)

    def test_pixels_without_a_label_do_not_matter(self, make_store: MakeStore) -> None:
        store, other = make_store(), make_store(own=True)
        for name in store.labels.names:
            coarse, fine = (np.array(cells) for cells in store.block(name).cells)
            ignored = store.mask(name) == IGNORE
            assert ignored.any()
            fine[:, :, ignored] += 100
            other.discard([name])
            other.write(name, store.image(name), [coarse, fine])
        block = store.block("two")
        assert self.fitted(other).opinions(block, "share").tobytes() == self.fitted(store).opinions(block, "share").tobytes()

    @pytest.mark.parametrize("rows", LAYOUTS)
    def test_a_seed_gives_its_bits(self, make_store: MakeStore, rows: str) -> None:
        store = make_store()
        block = store.block("four")
        first, again = (self.fitted(store, rows, seed=3) for _ in range(2))
        assert first.opinions(block, rows).tobytes() == again.opinions(block, rows).tobytes()  # type: ignore[arg-type]
        assert as_json(first) == as_json(again)

    @pytest.mark.parametrize("rows", LAYOUTS)
    def test_what_was_saved_predicts_the_same_bits(self, make_store: MakeStore, tmp_path: Path, rows: str) -> None:
        store = make_store(values=(0, 3, 7))
        head = self.fitted(store, rows)
        head.save(tmp_path)
        again = restored(head, self.head, tmp_path, classes=3)
        for name in store.labels.names:
            block = store.block(name)
            assert again.opinions(block, rows).tobytes() == head.opinions(block, rows).tobytes()  # type: ignore[arg-type]
        assert again.classes_.tolist() == head.classes_.tolist()
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 0

    def test_its_constructor_is_json_and_makes_an_equal_head(self) -> None:
        for options in (self.options, self.validated or self.options):
            head = self.make(options, seed=5)
            arguments = json.loads(json.dumps(head.constructor()))
            again = remake_head(self.head, type(head).__name__, arguments)
            assert type(again) is type(head)
            assert json.loads(json.dumps(again.constructor())) == arguments

    def test_its_report_survives_json(self, make_store: MakeStore) -> None:
        head = self.fitted(make_store())
        provenance = Provenance("1", (), report=head.report())
        assert Provenance.from_json(json.loads(json.dumps(provenance.to_json()))) == provenance
        assert all(isinstance(remark, str) and remark for remark in head.remarks())

    @pytest.mark.parametrize("rows", LAYOUTS)
    def test_a_budget_that_is_too_small_is_refused_before_work(self, make_store: MakeStore, rows: str) -> None:
        data, told = training_data(make_store(), rows), []
        data.budget.total, data.budget.was_given = 1000, True
        with (
            calls_of([FeatureStore.blocks.__code__]) as read,
            pytest.raises(TedmError, match=r"the least that would do is --memory \d+MB"),
        ):
            self.make().fit_blocks(data, progress=lambda *args: told.append(args))
        assert (read, told) == ([], [])

    def test_a_fit_that_was_stopped_ends_in_the_same_bits(self, make_store: MakeStore, tmp_path: Path) -> None:
        """Where the head resumes it goes on from the checkpoint, and where it does not it begins anew."""
        store, checkpoint = make_store(), tmp_path / "fit.state"
        whole = self.fitted(store)
        told: list[int] = []

        def stop(done: int, of: int, loss: float) -> None:
            told.append(done)
            if len(told) == 2:
                raise KeyboardInterrupt

        if whole.capabilities.resumes:
            with pytest.raises(KeyboardInterrupt):
                self.fitted(store, progress=stop, checkpoint=checkpoint)
        assert checkpoint.exists() == whole.capabilities.resumes
        resumed: list[int] = []
        again = self.fitted(store, progress=lambda done, *_: resumed.append(done), checkpoint=checkpoint)
        assert checkpoint.exists() == whole.capabilities.resumes
        assert not told or resumed[0] > told[-1]
        for name in store.labels.names:
            block = store.block(name)
            assert again.opinions(block, "share").tobytes() == whole.opinions(block, "share").tobytes()
        assert as_json(again) == as_json(whole)

    def test_without_the_validation_images_that_it_needs_it_says_so(self, make_store: MakeStore) -> None:
        assert not self.make().needs_validation()
        if self.validated is None:
            return
        head = self.make(self.validated)
        assert head.needs_validation()
        with pytest.raises(TedmError, match="needs validation images"):
            head.fit_blocks(training_data(make_store()))
        with pytest.raises(TedmError, match="needs labelled images of split 'val', and there are none"):
            self.segmenter(make_store(), self.validated)

    def test_validation_images_decide_where_they_are_asked_for(self, make_split_store: MakeStore) -> None:
        store = make_split_store()
        assert self.segmenter(store).provenance.validation_images == []
        if self.validated is not None:
            provenance = self.segmenter(store, self.validated).provenance
            assert (provenance.validation_images, provenance.labels_used) == (["d", "e"], 3 + 2)

    def test_it_goes_from_features_to_a_saved_head_to_scores(self, make_split_store: MakeStore, tmp_path: Path) -> None:
        store = make_split_store()
        head = self.segmenter(store)
        save_head(head, tmp_path / "head")
        loaded = load_head(tmp_path / "head")
        assert loaded.provenance == head.provenance
        assert repr(evaluate(store, {"h": loaded})) == repr(evaluate(store, {"h": head}))
        foreground = [record.dice for record in evaluate(store, {"h": head}) if record.class_value == 255]
        assert np.mean(foreground) > 0.5


def training_data(store: FeatureStore, rows: str = "share") -> TrainingData:
    """All images of a store to learn from."""
    return TrainingData(store, store.labels.names, rows=rows)  # type: ignore[arg-type]


def restored(head: Head, name: str, folder: Path, *, classes: int) -> Head:
    """What a folder's description makes of a head, as it comes back from JSON."""
    arguments = json.loads(json.dumps(head.constructor()))
    again = remake_head(name, type(head).__name__, arguments)
    again.restore(folder, features=head.n_features_in_, classes=classes)
    return again


def as_json(head: Head) -> Any:
    """What came of its fit."""
    return json.loads(json.dumps(asdict(head.report())))


@contextmanager
def calls_of(functions: list[CodeType]) -> Iterator[list[str]]:
    """Names of those of the functions that this thread calls."""
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in functions:
            called.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)
