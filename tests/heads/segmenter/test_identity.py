"""What heads are called when they stand in one table, from fits on real features."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.heads import Segmenter, evaluate, fit, load_head, method_named, reliability, save_head
from tedm.heads.segmenter.identity import (
    Identity,
    Setting,
    identities_csv,
    identities_from,
    identity_of,
    names_in_records,
    names_of,
)
from tedm.heads.segmenter.postprocess import Cleaning
from tedm.store import FeatureStore

SHARE = {"timesteps": (1, 50, 400)}


@pytest.fixture
def store(make_split_store: Callable[..., FeatureStore]) -> FeatureStore:
    return make_split_store()


def tedm(store: FeatureStore, *, members: int = 1, vote: str | None = None, **options: object) -> Segmenter:
    method = method_named("tedm", members=members, vote=vote, **SHARE)  # type: ignore[arg-type]
    return fit(store, method, **({"iterations": 2} | options))  # type: ignore[arg-type]


def names(heads: Mapping[str, Segmenter], **asked: object) -> list[str]:
    return list(names_in_records(heads, **asked).values())  # type: ignore[arg-type]


def numbered(*heads: Segmenter) -> dict[str, Segmenter]:
    return {str(number): head for number, head in enumerate(heads)}


def test_variants_of_a_method_stand_in_one_table_and_are_named_by_what_differs(store: FeatureStore) -> None:
    heads = {"one": tedm(store), "ten": tedm(store, members=10)}
    records = evaluate(store, heads)
    assert {record.method for record in records} == {"tedm", "tedm, members 10"}
    assert {one.method for one in reliability(store, heads)} == {"tedm", "tedm, members 10"}
    cleaned = {record.method for record in evaluate(store, heads, timesteps=(1, 50), cleaning=Cleaning(largest=2))}
    plain = {"tedm@1,50", "tedm@1,50, members 10"}
    assert cleaned == plain | {f"{name}+largest=2" for name in plain}


def test_a_setting_is_named_where_it_is_not_the_default(store: FeatureStore) -> None:
    assert names(numbered(tedm(store, members=5), tedm(store, members=3))) == ["tedm, members 5", "tedm, members 3"]
    plain = fit(store, method_named("tedm", **SHARE), iterations=2, learning_rate=0.02, pixels_per_batch=64)
    plain.estimator.iterations = 2000  # the default, without the seconds that it takes
    assert names(numbered(plain, tedm(store))) == ["tedm, learning rate 0.02, pixels per batch 64", "tedm, iterations 2"]
    voted = numbered(tedm(store), tedm(store, vote="hard"))
    assert names(voted) == ["tedm", "tedm, vote hard"]
    assert names(voted, rule="hard") == ["tedm", "tedm"]  # the vote in force is the same
    batches = numbered(
        *(fit(store, method_named("ledm", **SHARE), iterations=2, pixels_per_batch=pixels) for pixels in (64, 512))
    )
    assert names(batches) == ["ledm", "ledm, pixels per batch 512"]


def test_every_kind_of_head_names_its_own_arguments(store: FeatureStore) -> None:
    logistic = [fit(store, method_named("tedm", head="logistic", **SHARE), ridge=ridge) for ridge in (1.0, 10.0)]
    assert names(numbered(*logistic)) == ["tedm-logistic", "tedm-logistic, ridge 10"]
    trees = [
        fit(store, method_named("tedm", head="xgboost", **SHARE), iterations=rounds, params={"max_depth": depth})
        for rounds, depth in ((100, 2), (3, 6))
    ]
    assert names(numbered(*trees)) == ["tedm-xgboost, max depth 2", "tedm-xgboost, iterations 3"]
    forest = method_named("tedm", head="sklearn:ensemble.RandomForestClassifier", **SHARE)
    forests = [fit(store, forest, params={"n_estimators": count}) for count in (2, 5)]
    assert names(numbered(*forests)) == [f"tedm-RandomForestClassifier, n estimators {count}" for count in (2, 5)]


def test_what_a_head_learned_from_tells_it_apart(store: FeatureStore) -> None:
    variants = [
        ({"domain": "here"}, "tedm, training domain here"),
        ({"pixels_per_image": 20, "sampling": "balanced"}, "tedm, sampling balanced, pixels per image 20"),
        ({"calibrate": True}, "tedm, calibrated"),
        ({"split": "val"}, "tedm, training split val"),
        ({"class_weight": {0: 1, 255: 5}}, "tedm, class weight 0:1,255:5"),
        ({"patience": 5}, "tedm, patience 5"),
    ]
    for options, name in variants:
        assert names(numbered(tedm(store), tedm(store, **options))) == ["tedm", name]


def test_the_draws_of_the_features_tell_heads_apart(make_split_store: Callable[..., FeatureStore]) -> None:
    heads = numbered(*(tedm(make_split_store(draws=draws)) for draws in (1, 2)))
    assert names(heads) == ["tedm", "tedm, draws of noise 2"]


def test_heads_that_differ_in_training_images_and_seed_keep_the_plain_name(store: FeatureStore) -> None:
    heads = numbered(*(tedm(store, members=3, images=n, seed=seed) for n, seed in ((1, 0), (1, 1), (2, 0))))
    assert names(heads) == ["tedm"] * 3
    assert names({"alone": heads["0"]}, timesteps=(1,)) == ["tedm@1"]
    assert {record.method for record in evaluate(store, heads)} == {"tedm"}


def test_the_vote_that_stopped_a_fit_tells_heads_apart_when_another_vote_is_asked_for(store: FeatureStore) -> None:
    heads = numbered(*(tedm(store, vote=vote, patience=3) for vote in ("soft", "hard")))
    assert names(heads) == ["tedm", "tedm, vote hard"]
    assert names(heads, rule="soft") == ["tedm, vote of early stopping soft", "tedm, vote of early stopping hard"]


def test_names_do_not_depend_on_the_order_of_the_heads(store: FeatureStore) -> None:
    heads = numbered(tedm(store), tedm(store, members=2), tedm(store, vote="hard"), tedm(store, learning_rate=0.1))
    expected = names_in_records(heads)
    assert len(set(expected.values())) == 4
    for order in permutations(heads):
        assert names_in_records({key: heads[key] for key in order}) == expected


def test_a_head_keeps_its_identity_and_its_name_when_it_is_saved(store: FeatureStore, tmp_path: Path) -> None:
    heads = {
        "named": tedm(store, name="mine", class_weight={0: 1, 255: 5}),
        "logistic": fit(store, method_named("tedm", head="logistic", **SHARE), ridge=[1, 10]),
        "tree": fit(store, method_named("tedm", head="sklearn:tree.DecisionTreeClassifier", **SHARE), params={"max_depth": 3}),
    }
    for key, head in heads.items():
        save_head(head, tmp_path / key)
        again = load_head(tmp_path / key)
        assert again.label == head.label
        assert identity_of(again) == identity_of(head)
    assert heads["named"].label == "mine"
    saved = json.loads((tmp_path / "logistic" / "head.json").read_text())
    assert "name" not in saved  # a head without a name of its own is written as by 0.1.0
    assert load_head(tmp_path / "logistic").label == "tedm-logistic"
    description = tmp_path / "named" / "head.json"
    description.write_text(description.read_text().replace('"name": "mine"', '"name": "mi\\nne"'))
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "named")


def test_heads_of_one_given_name_are_told_apart_by_their_differences(store: FeatureStore) -> None:
    ledm = fit(store, method_named("ledm", members=2, **SHARE), name="mine", iterations=2)
    assert names(numbered(tedm(store, name="mine"), tedm(store, name="mine", members=4))) == ["mine", "mine, members 4"]
    both = names(numbered(tedm(store, name="mine"), ledm))
    assert both == ["mine, method tedm", "mine, method ledm, members 2"]
    assert names(numbered(tedm(store), tedm(store, name="other", members=4))) == ["tedm", "other"]


def test_two_heads_of_one_name_are_refused_before_anything_is_scored(store: FeatureStore) -> None:
    scored: list[int] = []
    heads = {"path/a": tedm(store, images=1), "path/b": tedm(store, images=1)}
    with pytest.raises(TedmError, match=r"the heads path/a and path/b .* tedm, n = 1, seed 0, .*tedm-fit --name"):
        evaluate(store, heads, progress=lambda done, _: scored.append(done))
    assert scored == []
    assert {record.method for record in evaluate(store, heads | {"path/b": tedm(store, images=1, name="again")})} == {
        "tedm",
        "again",
    }


def test_a_given_name_that_reads_like_another_heads_is_refused(store: FeatureStore) -> None:
    heads = numbered(tedm(store), tedm(store, members=2), tedm(store, name="tedm, members 2", images=1))
    with pytest.raises(TedmError, match="two different heads would be called tedm, members 2"):
        evaluate(store, heads)
    heads = numbered(tedm(store), tedm(store, name="tedm+largest=2", images=1))
    with pytest.raises(TedmError, match="which is what the cleaned masks of 0 are called"):
        evaluate(store, heads, cleaning=Cleaning(largest=2))


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "tail ", "x" * 101])
def test_a_name_that_cannot_stand_in_a_table_is_refused(store: FeatureStore, name: str) -> None:
    with pytest.raises(TedmError, match="cannot stand in a table"):
        tedm(store, name=name)


def test_settings_at_their_defaults_are_named_where_nothing_else_differs() -> None:
    """Two methods of one label may have other defaults."""
    pair = [Identity("mine", (Setting("members", value, value),)) for value in ("1", "10")]
    assert list(names_of(pair).values()) == ["mine, members 1", "mine, members 10"]


def test_identities_are_the_same_from_their_table(store: FeatureStore) -> None:
    heads = {"tedm": tedm(store), "tedm, members 2": tedm(store, members=2)}
    identities = {key: identity_of(head, timesteps=(1, 50)) for key, head in heads.items()}
    rows = [line.split(",") for line in identities_csv({"a": identities["tedm"]}).splitlines()]
    assert rows[0] == ["name", "setting", "value", "default"]
    assert ["a", "pixels per batch", "512", "512"] in rows
    read = identities_from(list(csv.reader(io.StringIO(identities_csv(identities)))))
    assert read == identities
    assert names_of(read.values()) == names_of(identities.values())
    for damaged in ([], [["name", "setting"]], [["name", "setting", "value", "default"], ["a", "rows", "share", ""]]):
        with pytest.raises(ValueError, match="methods|label"):
            identities_from(damaged)
