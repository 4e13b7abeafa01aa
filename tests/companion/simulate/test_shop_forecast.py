"""The chance to buy against how often the shop's people do buy."""

import numpy as np
import pytest
from scipy.stats import rankdata

from behaviorseq import simulate

START, END = np.datetime64("2024-01-22"), np.datetime64("2024-01-29")


@pytest.fixture(scope="module")
def shop():
    return simulate.world("shop", n_users=1500, n_items=100, days=30, seed=3)


@pytest.fixture(scope="module")
def bought(shop):
    """Tell who bought on a visit of the week, repeat purchases left aside."""
    log, truth = shop.log().events, shop.truth.events()
    inside = (truth["start"] >= START) & (truth["start"] < END) & (truth["page"] != "repeat")
    buyers = log["user"][inside & (log["behavior"] == "purchase")]
    return np.isin(np.arange(shop.n_users), buyers)


def auc(chance, bought):
    ranks = rankdata(chance)[bought]
    n, m = bought.sum(), (~bought).sum()
    return (ranks.sum() - n * (n + 1) / 2) / (n * m)


def test_people_buy_as_often_as_it_says(shop, bought):
    chance = shop.truth.chance_to_buy(START, END, draws=10)
    assert ((chance >= 0) & (chance <= 1)).all()
    # Averages of draws are about calibrated: compare the sum, and the upper and the lower half.
    for part in (chance >= 0, chance > np.median(chance), chance <= np.median(chance)):
        spread = np.sqrt((chance[part] * (1 - chance[part])).sum()) + 1
        assert abs(bought[part].sum() - chance[part].sum()) < 4 * spread
    assert auc(chance, bought) > 0.75


def test_missions_of_the_period_are_known(shop):
    """Who has a mission that begins in the period is more likely to buy, all else being alike."""
    missions = shop.truth.missions
    new = missions["user"][(missions["exploring"] >= START) & (missions["end"] < END)]
    chance = shop.truth.chance_to_buy(START, END, draws=5)
    concerned = np.isin(np.arange(shop.n_users), new)
    assert chance[concerned].mean() > 2 * chance[~concerned].mean()


def test_one_seed_one_answer(shop):
    told = shop.truth.chance_to_buy(START, END, draws=3)
    again = shop.truth.chance_to_buy(START, END, draws=3)
    other = shop.truth.chance_to_buy(START, END, draws=3, seed=1)
    assert (told == again).all()
    assert (told != other).any()


def test_no_time_no_chance(shop):
    assert not shop.truth.chance_to_buy(START, START, draws=1).any()


def test_what_makes_no_sense_is_refused(shop):
    with pytest.raises(ValueError, match="draws must be"):
        shop.truth.chance_to_buy(START, END, draws=0)
    with pytest.raises(ValueError, match="end must be at"):
        shop.truth.chance_to_buy(END, START)
