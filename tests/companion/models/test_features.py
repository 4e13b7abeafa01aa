"""FeatureModel against features written out, and against leaks."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from behaviorseq import FeatureModel, ItemKNN, Popularity, Recommender
from behaviorseq.models import features, recommender


class Watched(Recommender):
    """Remembers what it was fitted on and which histories it was asked about."""

    def __init__(self):
        self.fitted, self.asked = [], []

    def _fit(self, train):
        self.fitted.append(train)

    def _score(self, histories):
        self.asked.append(histories)
        return np.ones((len(histories), histories.n_items), dtype=np.float32)


def test_training_pairs_see_nothing_of_the_events_set_aside(make_log):
    log = make_log(3, n_users=30, n_items=40)
    watched = Watched()
    FeatureModel(LinearRegression(), {"watched": watched}, positives=2).fit(log)
    past, everything = watched.fitted
    assert [list(past[r]) for r in range(len(log))] == [
        list(log[r][: max(0, len(log[r]) - 2)]) for r in range(len(log))
    ]
    assert everything.n_events == log.n_events
    asked = [list(part[r]) for part in watched.asked for r in range(len(part))]
    expected = [
        list(log[r][:p])
        for r in range(len(log))
        for p in range(max(1, len(log[r]) - 2), len(log[r]))
    ]
    assert asked == expected


def test_negatives_are_never_items_of_the_user(make_log):
    log = make_log(4, n_users=25, n_items=12)
    model = FeatureModel(LinearRegression(), {"popularity": Popularity()}, 1, negatives=50)
    pairs, is_positive = model.training_pairs(log)
    rows = np.flatnonzero(log.lengths >= 2)
    assert is_positive.sum() == len(rows)
    past = log.keep(log.position_from_end >= 1)
    counts = np.bincount(past.items, minlength=12)
    start = np.append(np.flatnonzero(is_positive), len(is_positive))
    for place, row in enumerate(rows):
        part = pairs[start[place] : start[place + 1], 0]
        assert part[0] == pytest.approx(np.log1p(counts[log[row][-1]]))
        allowed = np.log1p(counts[~np.isin(np.arange(12), log[row])])
        assert np.isclose(part[1:, None], allowed).any(axis=1).all()
        assert len(part) > 1


def test_features_equal_the_loop(make_log):
    log = make_log(5)
    model = FeatureModel(LinearRegression(), {"knn": ItemKNN(decay=0.5)}).fit(log)
    got = model._features(log)
    knn = ItemKNN(decay=0.5).fit(log).score(log)
    counts = np.bincount(log.items, minlength=log.n_items)
    for row in np.flatnonzero(log.lengths):
        mean = np.mean([np.log1p(counts[item]) for item in log[row]])
        for item in range(log.n_items):
            popularity = np.log1p(counts[item])
            expected = [
                np.log1p(knn[row, item]),
                np.log1p(len(log[row])),
                mean,
                abs(popularity - mean),
            ]
            np.testing.assert_allclose(got[row, item], expected, rtol=1e-5, atol=1e-6)
    assert model.feature_names[0] == "knn"
    assert len(model.feature_names) == 4


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LogisticRegression(), lambda m, x: m.decision_function(x)),
        (DecisionTreeClassifier(max_depth=2), lambda m, x: m.predict_proba(x)[:, 1]),
        (LinearRegression(), lambda m, x: m.predict(x)),
    ],
)
def test_the_score_is_what_the_learner_says(estimator, expected, make_log):
    log = make_log(6, n_users=40)
    model = FeatureModel(estimator, {"popularity": Popularity(), "knn": ItemKNN()}).fit(log)
    rows = log.lengths > 0
    pairs = model._features(log)[rows]
    said = expected(model.learner, pairs.reshape(-1, pairs.shape[-1])).reshape(pairs.shape[:2])
    np.testing.assert_allclose(model.score(log)[rows], said, rtol=1e-4, atol=1e-5)
    assert not hasattr(estimator, "n_features_in_")  # the one given stays as it was


def test_scoring_keeps_to_its_chunks(make_log, monkeypatch):
    log = make_log(7, n_users=30)
    model = FeatureModel(LinearRegression()).fit(log)
    whole = model.score(log)
    sizes = []
    described = model._features

    def watched(histories):
        sizes.append(len(histories))
        return described(histories)

    monkeypatch.setattr(recommender, "CHUNK_BYTES", 3 * model._row_bytes(log))
    monkeypatch.setattr(model, "_features", watched)
    np.testing.assert_allclose(model.score(log), whole, rtol=1e-5, atol=1e-6)
    assert max(sizes) == 3


def test_default_features_are_named():
    names = FeatureModel(LinearRegression()).feature_names
    assert names[:4] == tuple(features.pair_models())


def test_what_cannot_work_is_refused(make_log):
    log = make_log(8)
    with pytest.raises(ValueError, match="positives=20; lower it"):
        FeatureModel(LinearRegression(), positives=20).fit(log)
    with pytest.raises(ValueError, match="negatives must be a whole number of 1 or more, got 0"):
        FeatureModel(LinearRegression(), negatives=0)
    with pytest.raises(ValueError, match="models must be one model or more, by name"):
        FeatureModel(LinearRegression(), {})
