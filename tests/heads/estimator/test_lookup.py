"""Scikit-learn's classifiers by name: what is meant is found, and what is not there is answered with what is."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.estimator.head import EstimatorHead
from tedm.heads.estimator.lookup import built, name_of, named_classifier

LDA = {"class": "discriminant_analysis.LinearDiscriminantAnalysis"}


REFUSED = [
    (
        "ensemble.RandomForrestClassifier",
        {},
        "has no 'ensemble.RandomForrestClassifier'; did you mean ensemble.RandomForestClassifier?",
    ),
    ("RandomForestClassifier", {}, "did you mean ensemble.RandomForestClassifier?"),
    ("ensembles.RandomForestClassifier", {}, "did you mean ensemble.RandomForestClassifier?"),
    ("", {}, "has no ''"),
    ("os.system", {}, "has no 'os.system'"),
    ("utils.os.system", {}, "has no 'utils.os.system'"),
    ("tree._classes.DecisionTreeClassifier", {}, "did you mean tree.DecisionTreeClassifier?"),
    ("ensemble.RandomForestRegressor", {}, "ensemble.RandomForestRegressor is no classifier"),
    ("preprocessing.StandardScaler", {}, "preprocessing.StandardScaler is no classifier"),
    ("model_selection.GroupKFold", {}, "is no estimator"),
    (
        "ensemble.RandomForestClassifier",
        {"n_estimator": 3},
        "'n_estimator' (did you mean n_estimators?); it knows n_estimators, c",
    ),
    (
        "ensemble.RandomForestClassifier",
        {"n_estimators": -3},
        "ensemble.RandomForestClassifier: The 'n_estimators' parameter of",
    ),
    ("ensemble.RandomForestClassifier", {"n_estimators": "many"}, "Got 'many' instead"),
    ("pipeline.Pipeline", {}, "pipeline.Pipeline needs the parameter 'steps'"),
    (
        "pipeline.Pipeline",
        {"steps": [["scale", {"class": "preprocessing.StandardScaler"}]]},
        "pipeline.Pipeline is no classifier",
    ),
    (
        "pipeline.Pipeline",
        {"steps": [["s", {"class": "preprocessing.StandardScaled"}], ["l", LDA]]},
        "did you mean preprocessing.Stan",
    ),
    (
        "pipeline.Pipeline",
        {"steps": [["lda", LDA | {"params": {"tol": "x"}}]]},
        "discriminant_analysis.LinearDiscriminantAnalysis: The",
    ),
    ("gaussian_process.GaussianProcessClassifier", {}, "grows with the square of the rows"),
    ("naive_bayes.MultinomialNB", {}, "naive_bayes.MultinomialNB cannot be fitted on these rows: Negative values"),
    (
        "calibration.CalibratedClassifierCV",
        {"estimator": LDA, "cv": 1000},
        "cannot be fitted on these rows: Requesting 1000-fold",
    ),
]


@pytest.mark.parametrize(("name", "parameters", "message"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(make_store, name, parameters, message):
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="share")
    with pytest.raises(TedmError) as caught:
        EstimatorHead(name, parameters).fit_blocks(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_becomes_a_tuple_only_where_it_must():
    scale = named_classifier(
        "pipeline.Pipeline",
        {"steps": [["s", {"class": "preprocessing.MinMaxScaler", "params": {"feature_range": [-1, 2]}}], ["l", LDA]]},
    )
    assert scale[0].feature_range == (-1, 2)
    assert named_classifier("neural_network.MLPClassifier", {"hidden_layer_sizes": [5, 4]}).hidden_layer_sizes == [5, 4]


def test_a_description_becomes_estimators_at_any_depth():
    steps = [["scale", {"class": "preprocessing.StandardScaler", "params": {"with_mean": False}}], ["lda", LDA]]
    made = named_classifier("pipeline.Pipeline", {"steps": steps})
    assert [name_of(step) for _, step in made.steps] == ["preprocessing.StandardScaler", LDA["class"]]
    assert made[0].with_mean is False
    assert built({"a": [1, LDA], "b": {"class": 3}})["a"][0] == 1
    assert name_of(built({"a": [1, LDA]})["a"][1]) == LDA["class"]
    assert built({"class": LDA["class"], "beside": 1}) == {"class": LDA["class"], "beside": 1}  # no description
