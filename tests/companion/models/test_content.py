"""TextContent against TF-IDF and cosine written out."""

import math
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from behaviorseq import TextContent

ITEMS = pd.DataFrame(
    {
        "item": [12, 10, 11, 13, 14, 15, 16, 17, 18, 99],  # another order, and one more item
        "title": [
            "red car",
            "Car of red",
            "blue car",
            "blue sky",
            None,
            "",
            "sea",
            "sea red",
            "x",
            "",
        ],
        "genres": ["Toy Road", "Road", "Road", "Nature", "Nature", None, "Nature", "Toy", "", ""],
    }
)


def slow_vectors(texts):
    """Weigh words by frequency times log((1 + n) / (1 + documents)) + 1, scaled to length 1."""
    documents = [Counter(re.findall(r"\w\w+", (text or "").lower())) for text in texts]
    words = sorted(set().union(*documents))
    vectors = np.zeros((len(texts), len(words)))
    for row, document in enumerate(documents):
        for word, n in document.items():
            df = sum(word in other for other in documents)
            vectors[row, words.index(word)] = n * (math.log((1 + len(texts)) / (1 + df)) + 1)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("columns", [["title"], ["title", "genres"]])
@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
def test_text_content_equals_the_loop(columns, decay, make_log):
    log = make_log(2)
    table = ITEMS.set_index("item").loc[log.item_ids.ids]
    texts = [[t if isinstance(t, str) else None for t in table[c]] for c in columns]
    vectors = np.hstack([slow_vectors(column) for column in texts])
    norms = np.linalg.norm(vectors, axis=1)
    vectors = vectors / np.where(norms > 0, norms, 1)[:, None]
    expected = np.zeros((len(log), log.n_items))
    for row in range(len(log)):
        history = log[row]
        weights = [decay ** (len(history) - 1 - p) for p in range(len(history))]
        if not len(history):
            expected[row] = np.bincount(log.items, minlength=log.n_items)
            continue
        profile = sum(w * vectors[i] for w, i in zip(weights, history, strict=True)) / sum(weights)
        for j in range(log.n_items):
            length = np.linalg.norm(profile)
            expected[row, j] = profile @ vectors[j] / length if length > 0 else 0
    model = TextContent(ITEMS, columns=columns, decay=decay).fit(log)
    np.testing.assert_allclose(model.score(log), expected, rtol=1e-5, atol=1e-6)
    assert model.vectors.shape == (log.n_items, len(model.terms))
    assert "title: red" in model.terms


def test_other_users_play_no_part(make_log):
    log = make_log(3)
    rows = log.lengths > 0
    one = TextContent(ITEMS, columns=["title"]).fit(log)
    two = TextContent(ITEMS, columns=["title"]).fit(log.take([1]))
    np.testing.assert_array_equal(one.score(log)[rows], two.score(log)[rows])


def test_a_vectorizer_of_ones_own_is_used_and_left_as_it_was(make_log):
    log = make_log()
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
    items = ITEMS.assign(title="红色汽车")
    model = TextContent(items, columns=["title"], vectorizer=vectorizer).fit(log)
    assert "title: 红色" in model.terms
    assert not hasattr(vectorizer, "vocabulary_")


def test_an_item_missing_in_the_table_is_named(make_log):
    short = ITEMS[ITEMS["item"] != 11]
    with pytest.raises(ValueError, match=r"lacks 1 of the 9 items of the log, .* \[11\]"):
        TextContent(short, columns=["title"]).fit(make_log())


def test_a_repeated_item_is_named(make_log):
    twice = pd.concat([ITEMS, ITEMS.tail(1)])
    with pytest.raises(ValueError, match=r"1 repeated items, the first are \[99\]"):
        TextContent(twice, columns=["title"]).fit(make_log())


def test_a_bag_of_words_weighs_words_by_their_number_alone(make_log):
    log = make_log(2)
    model = TextContent(ITEMS, columns=["title"], weighting="bag of words").fit(log)
    texts = ITEMS.set_index("item").loc[log.item_ids.ids, "title"]
    words = [re.findall(r"\w\w+", t.lower()) if isinstance(t, str) else [] for t in texts]
    for row, found in enumerate(words):
        counts = Counter(found)
        length = math.sqrt(sum(n**2 for n in counts.values()))
        expected = {f"title: {word}": n / length for word, n in counts.items()}
        vector = model.vectors[[row]].toarray()[0]
        got = {model.terms[i]: vector[i] for i in np.flatnonzero(vector)}
        assert got == pytest.approx(expected)


def test_weighting_is_checked():
    with pytest.raises(ValueError, match="weighting must be 'tf-idf' or 'bag of words', got 'x'"):
        TextContent(ITEMS, columns=["title"], weighting="x")
    with pytest.raises(ValueError, match="not both"):
        TextContent(ITEMS, ["title"], vectorizer=TfidfVectorizer(), weighting="bag of words")
