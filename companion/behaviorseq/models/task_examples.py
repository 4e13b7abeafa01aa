"""Examples of several tasks, made of a log: what comes next, what is shown, what is rated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.arguments import whole
from behaviorseq.models.heads import Head
from behaviorseq.sequences import Sequences
from behaviorseq.training.examples import Examples
from behaviorseq.training.tagged import event_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.datasets import Dataset
    from behaviorseq.simulate.shop import Shop

    Ints = NDArray[np.int64]
    Numbers = NDArray[np.floating[Any]]

AGE_GROUPS = (25, 35, 45)  # first year of each group but the youngest
LIKED = 4.0
NEVER = 8.0  # stands for the logarithm of the hours since something that never was: four months


def next_examples(
    log: Dataset,
    *,
    category: str = "category",
    user_class: str = "household",
    horizon: int = 7,
    length: int = 20,
    per_user: int = 20,
    seed: int = 0,
) -> tuple[Examples, tuple[Head, ...]]:
    """Ask after some events of each user what comes next, and who the user is.

    Views are left out. The tasks: the behavior of the next event, the category of its item,
    whether there is a purchase within ``horizon`` days (not known where the log ends sooner), and
    the class of the user. An event is described by item, category and behavior, and by the
    numbers of :func:`~behaviorseq.training.tagged.event_numbers`; who the user is, is not told.

    Parameters
    ----------
    log : Dataset
        Such as that of the simulated shop.
    category, user_class : str
        Columns of the tables of items and of users.
    horizon : int
        Days.
    length : int
        Most events of a history, its last ones.
    per_user : int
        Most questions about a user, after events drawn by chance.
    seed : int
        Of the draw.

    Returns
    -------
    examples : Examples
        One question a history.
    heads : tuple of Head
        The four tasks.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> log = simulate.world("shop", n_users=40, n_items=160, days=20).log()
    >>> examples, heads = next_examples(log, per_user=3)
    >>> [head.name for head in heads], examples.sizes[0]
    (['behavior', 'category', 'purchase', 'household'], ...)
    """
    actions = log.events[log.events["behavior"] != "view"]
    histories = Sequences.from_events(actions)
    assert histories.behaviors is not None
    n_classes, class_of = _codes(log.users.set_index("user")[user_class])
    n_kinds, kind_of = _codes(log.items.set_index("item")[category])
    codes = _triples(histories, kind_of)
    kinds, behaviors = codes[:, 1], codes[:, 2]
    asked = _some(histories, histories.position_from_end > 0, per_user, seed)
    row = histories.row_of_event[asked]
    users = histories.user_ids.decode(histories.users[row])
    labels = {
        "behavior": behaviors[asked + 1],
        "category": kinds[asked + 1],
        "purchase": _soon(histories, behaviors, asked, horizon),
        user_class: class_of.loc[users].to_numpy(),
    }
    starts = np.maximum(histories.offsets[row], asked + 1 - whole("length", length, 1))
    examples = Examples(
        sizes=(histories.n_items, n_kinds, len(histories.behavior_names)),
        codes=codes,
        numbers=event_numbers(histories),
        starts=starts,
        lengths=asked + 1 - starts,
        labels={name: values.astype(np.float32) for name, values in labels.items()},
        **_without_questions(users),
    )
    heads = (
        Head("behavior", "class", len(histories.behavior_names)),
        Head("category", "class", n_kinds),
        Head("purchase"),
        Head(user_class, "class", n_classes),
    )
    return examples, heads


def rating_examples(
    data: Dataset, *, length: int = 20, per_user: int = 40, seed: int = 0
) -> tuple[Examples, tuple[Head, ...]]:
    """Ask about films that users rate: will they like it, what comes after it, how old are they.

    The tasks: a rating of 4 or 5; the genres of the film that the user rates next; the age group
    (under 25, 25 to 34, 35 to 44, older). A history is the films rated before, with their ratings
    and genres; asked about is a film with its genres. Ratings of one second are in random order.

    Parameters
    ----------
    data : Dataset
        MovieLens-100K.
    length, per_user, seed
        As for :func:`next_examples`; ``seed`` is that of the order of ties, too.

    Returns
    -------
    examples : Examples
        One question a history.
    heads : tuple of Head
        The three tasks.

    Examples
    --------
    >>> from behaviorseq import load
    >>> examples, heads = rating_examples(load("movielens-100k"), per_user=2)
    >>> len(examples), [head.size for head in heads]
    (1886, [1, 19, 4])
    """
    histories = Sequences.from_events(data.events, ties="random", seed=seed)
    assert histories.values is not None
    names = data.items.set_index("item")["genres"].loc[histories.item_ids.ids]
    genres = names.str.get_dummies("|").to_numpy(dtype=np.float32)[histories.items]
    age = data.users.set_index("user")["age"]
    asked = _some(histories, histories.position_from_end > 0, per_user, seed)
    row = histories.row_of_event[asked]
    users = histories.user_ids.decode(histories.users[row])
    ages = np.searchsorted(AGE_GROUPS, age.loc[users], side="right").astype(np.float32)
    liked = (histories.values[asked] >= LIKED).astype(np.float32)
    starts = np.maximum(histories.offsets[row], asked - whole("length", length, 1))
    examples = Examples(
        sizes=(histories.n_items, 5),
        codes=np.column_stack([histories.items, histories.values - 1]).astype(np.int64),
        numbers=genres,
        starts=starts,
        lengths=asked - starts,
        row=np.arange(len(asked)),
        asked_codes=histories.items[asked, None].astype(np.int64),
        asked_numbers=genres[asked],
        labels={"liked": liked, "next genres": genres[asked + 1], "age group": ages},
        users=np.asarray(users, dtype=np.int64),
    )
    heads = (
        Head("liked"),
        Head("next genres", "labels", genres.shape[1]),
        Head("age group", "class", len(AGE_GROUPS) + 1),
    )
    return examples, heads


def impressions(shop: Shop) -> pd.DataFrame:
    """List what the simulated shop showed, what came of it, and how probable that was.

    Repeat purchases and reviews, which follow rules of their own, are left out. A click belongs
    to the view of the item at that place of the page before it. Purchases are made at the end of
    a visit: where an item was clicked several times at one place, the last clicks get them.

    Parameters
    ----------
    shop : Shop
        The world.

    Returns
    -------
    pandas.DataFrame
        One row an impression, in order of visit: ``user``, ``session``, ``start`` of the visit,
        ``item``, ``position``, whether ``click`` and ``purchase`` followed; and from the truth
        ``click_rate``, and ``conversion_rate``, the probability of a purchase given a click, also
        where there was none.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> shown = impressions(simulate.world("shop", n_users=20, n_items=40, days=7))
    >>> bool((shown["purchase"] <= shown["click"]).all())
    True
    """
    log = shop.log().events
    events = log.assign(**shop.truth.events()[["page", "start"]])
    events = events[~events["page"].isin(["repeat", "review"])]
    place = ["session", "item", "position"]
    events = events.sort_values("session", kind="stable")  # in a visit: by time
    views, clicks, bought = (
        events[events["behavior"] == kind] for kind in ("view", "click", "purchase")
    )
    # A click follows its view, so the number of views so far names it.
    seen = events.assign(view=events["behavior"] == "view").groupby(place)["view"].cumsum()
    shown = views.assign(nth=seen[views.index])
    clicked = clicks.assign(nth=seen[clicks.index])
    back = clicked.groupby(place).cumcount(ascending=False)  # 0 for the last click
    n_bought = bought.groupby(place).size().rename("n_bought")
    clicked = clicked.join(n_bought, on=place).assign(back=back)
    clicked["purchase"] = clicked["back"] < clicked["n_bought"].fillna(0)
    keys = [*place, "nth"]
    found = shown.merge(clicked[[*keys, "purchase"]], how="left", on=keys, validate="one_to_one")
    user, item, start = (found[name].to_numpy() for name in ("user", "item", "start"))
    rates = {
        "click_rate": shop.truth.click_probability(user, item, found["position"], start),
        "conversion_rate": shop.truth.purchase_probability(user, item, start),
    }
    found = found.assign(click=found["purchase"].notna(), **rates)
    found["purchase"] = found["purchase"].eq(True)
    columns = ["user", "session", "start", "item", "position", "click", "purchase", *rates]
    return found[columns]


def impression_examples(
    log: Dataset, shown: pd.DataFrame, *, category: str = "category", length: int = 20
) -> Examples:
    """Ask about everything that was shown on a visit: will it be clicked, and bought.

    A history is what the user did, other than view, before the visit. Asked about is an item:
    which, its category, its price, its place on the page, how often the user acted on it and on
    its category before, and how long ago that was last.

    Parameters
    ----------
    log : Dataset
        The log, with its tables of items.
    shown : pandas.DataFrame
        Of :func:`impressions`, in order of visit.
    category : str
        Column of the table of items.
    length : int
        Most events of a history, its last ones.

    Returns
    -------
    examples : Examples
        One history a visit, one question a row of ``shown``. Labels: ``click``; ``purchase``, of
        a click and a purchase; and ``conversion``, the purchase where there was a click, not known
        elsewhere.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> shop = simulate.world("shop", n_users=20, n_items=40, days=7)
    >>> examples = impression_examples(shop.log(), impressions(shop))
    >>> clicked = examples.labels["click"] == 1
    >>> bool(np.isnan(examples.labels["conversion"][~clicked]).all())
    True
    """
    histories = Sequences.from_events(log.events[log.events["behavior"] != "view"])
    assert histories.behaviors is not None
    items = log.items.set_index("item")
    n_kinds, kind_of = _codes(items[category])
    sizes = (histories.n_items + 1, n_kinds, len(histories.behavior_names))
    of_log = _triples(histories, kind_of)
    unknown = histories.n_items  # shown, but nobody did more than view it
    item = histories.item_ids.encode(shown["item"], unknown=unknown).astype(np.int64)
    asked = np.column_stack([item, kind_of.loc[shown["item"]]])
    user = histories.user_ids.encode(shown["user"], unknown=-1).astype(np.int64)
    begins = _seconds(shown["start"])
    _, first, row = np.unique(shown["session"], return_index=True, return_inverse=True)
    starts, stops = _windows(histories, user[first], begins[first], length)
    price = items["price"].loc[shown["item"]].to_numpy()
    numbers = [np.log1p(shown["position"].to_numpy()), np.log(price)]
    for column, size in enumerate(sizes[:2]):
        pair = histories.row_of_event * size + of_log[:, column]
        numbers += _met(pair, _times(histories), user * size + asked[:, column], begins)
    click, bought = (shown[name].to_numpy(dtype=np.float32) for name in ("click", "purchase"))
    conversion = np.where(click > 0, bought, np.nan).astype(np.float32)
    return Examples(
        sizes=sizes,
        codes=of_log,
        numbers=event_numbers(histories),
        starts=starts,
        lengths=stops - starts,
        row=row,
        asked_codes=asked,
        asked_numbers=np.column_stack(numbers).astype(np.float32),
        labels={"click": click, "purchase": bought, "conversion": conversion},
        users=shown["user"].to_numpy(dtype=np.int64),
    )


def _triples(histories: Sequences, kind_of: pd.Series) -> Ints:
    """Give item, category and behavior of each event, (n_events, 3)."""
    assert histories.behaviors is not None
    kinds = kind_of.loc[histories.item_ids.ids].to_numpy()[histories.items]
    return np.column_stack([histories.items, kinds, histories.behaviors]).astype(np.int64)


def _windows(histories: Sequences, users: Ints, moments: Ints, length: int) -> tuple[Ints, Ints]:
    """Give where the last events of users before moments begin and end; -1 is nobody."""
    n_before, stops = _before(histories.row_of_event, _times(histories), users, moments)
    n_before = np.where(users < 0, 0, np.minimum(n_before, whole("length", length, 1)))
    stops = np.where(users < 0, 0, stops)
    return stops - n_before, stops


def _met(pair: Ints, times: Ints, asked: Ints, moments: Ints) -> list[Numbers]:
    """Give how often a user met something before, and how long ago, both as logarithms."""
    order = np.lexsort((times, pair))
    count, stop = _before(pair[order], times[order], asked, moments)
    last = np.where(count > 0, times[order][np.maximum(stop - 1, 0)], moments)
    ago = np.log1p((moments - last) / 3600)
    return [np.log1p(count), np.where(count > 0, ago, NEVER)]


def _codes(column: pd.Series) -> tuple[int, pd.Series]:
    """Give each value of a column a number, in alphabetical order."""
    codes, names = pd.factorize(column, sort=True)
    return len(names), pd.Series(codes.astype(np.int64), index=column.index)


def _seconds(times: Any) -> Ints:
    """Turn datetimes into whole seconds."""
    return np.asarray(times, dtype="datetime64[s]").astype(np.int64)


def _times(histories: Sequences) -> Ints:
    """Give the time of each event, in seconds."""
    if histories.times is None or histories.times.dtype.kind != "M":
        raise ValueError("the log must have datetimes")
    return _seconds(histories.times)


def _before(keys: Ints, times: Ints, asked: Ints, moments: Ints) -> tuple[Ints, Ints]:
    """Count the events of a key before a moment, and give where they end; sorted by key and time.

    A moment must lie above 0, and so do seconds since 1970.
    """
    span = 1 + max(int(times.max(initial=0)), int(moments.max(initial=0)))
    stop = np.searchsorted(keys * span + times, asked * span + moments)
    return stop - np.searchsorted(keys, asked), stop


def _some(histories: Sequences, allowed: NDArray[np.bool_], per_user: int, seed: int) -> Ints:
    """Draw at most so many events of each history, among those allowed, in order."""
    place = np.flatnonzero(allowed)
    row = histories.row_of_event[place]
    order = np.lexsort((np.random.default_rng(seed).random(len(place)), row))
    rank = np.arange(len(place)) - np.searchsorted(row, row)
    return np.sort(place[order][rank < whole("per_user", per_user, 1)])


def _soon(histories: Sequences, behaviors: Ints, asked: Ints, horizon: int) -> Numbers:
    """Tell whether a purchase follows within so many days, NaN where the log ends before."""
    times, row = _times(histories), histories.row_of_event
    bought = np.flatnonzero(behaviors == histories.behavior_names.index("purchase"))
    after = np.searchsorted(bought, asked, side="right")
    there = after < len(bought)
    following = bought[np.minimum(after, len(bought) - 1)]
    limit = times[asked] + whole("horizon", horizon, 1) * 86_400
    soon = there & (row[following] == row[asked]) & (times[following] <= limit)
    return np.where(limit <= times.max(), soon.astype(np.float64), np.nan)


def _without_questions(users: NDArray[Any]) -> dict[str, Any]:
    """Make the parts of examples that say no more than which history each is about."""
    n = len(users)
    return {
        "row": np.arange(n),
        "asked_codes": np.zeros((n, 0), dtype=np.int64),
        "asked_numbers": np.zeros((n, 0), dtype=np.float32),
        "users": np.asarray(users, dtype=np.int64),
    }
