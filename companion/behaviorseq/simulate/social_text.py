"""Topics of the social world, and short English posts whose words carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What people talk about, and words for it, 16 a topic. A few words belong to two topics.
_LISTS = {
    "astronomy": """
        the telescope, Saturn, a comet, the eclipse, dark skies, a meteor shower, the Milky Way,
        a new lens, the moon, a nebula, star charts, an exoplanet, the observatory, Jupiter,
        long exposures, a space probe
    """,
    "books": """
        the novel, a short story, the library, the last chapter, poetry, an old essay, the
        bookshop, a biography, the narrator, paperbacks, a thriller, the sequel, the plot,
        footnotes, a reading list, the translation
    """,
    "cooking": """
        the soup, fresh basil, sourdough, a cast iron pan, roast carrots, the oven, garlic, a
        slow stew, pickles, the recipe, homemade pasta, lemon tart, spices, the dumplings,
        tomatoes, a sharp knife
    """,
    "films": """
        the director, the opening scene, a documentary, the soundtrack, a remake, the trailer,
        subtitles, the lead actor, a silent film, the cinema, the sequel, the plot, a long take,
        the screenplay, a thriller, the film festival
    """,
    "football": """
        the derby, a late penalty, the goalkeeper, the league table, a free kick, the coach,
        extra time, the transfer, a clean sheet, the stadium, the midfield, a header, the away
        fans, a long shot, the cup final, warm-ups
    """,
    "gardening": """
        the roses, compost, tomatoes, a greenhouse, seedlings, the hedge, fresh basil, bulbs,
        the lawn, slugs, pruning, a raised bed, the watering can, mulch, wild flowers, the apple
        tree
    """,
    "music": """
        the album, a guitar solo, the concert, vinyl records, the chorus, a cello, the
        soundtrack, the drummer, a piano piece, the choir, a demo, jazz standards, the bass
        line, a playlist, the encore, a live session
    """,
    "pets": """
        the puppy, cat toys, a long walk, the vet, the kitten, a new leash, the parrot, dog
        treats, the aquarium, a rescue cat, muddy paws, the rabbit, the groomer, a scratching
        post, obedience class, the hamster
    """,
    "photography": """
        the tripod, a new lens, golden hour, street portraits, black and white film, the
        darkroom, long exposures, a macro shot, the aperture, a photo book, flash, the shutter,
        depth of field, a contact sheet, the viewfinder, raw files
    """,
    "programming": """
        the compiler, unit tests, a memory leak, the parser, type hints, a demo, code review,
        the database, a hash table, the debugger, open source, recursion, the release, a pull
        request, legacy code, the scheduler
    """,
    "running": """
        the marathon, interval training, trail shoes, a personal best, the half marathon, hill
        repeats, stretching, the coach, a long run, recovery days, the 10k, warm-ups, heart rate
        zones, the finish line, blisters, a training plan
    """,
    "travel": """
        the night train, a window seat, the old town, a hostel, street food, the border, jet
        lag, the ferry, a road trip, the passport queue, dark skies, a long walk, the island, a
        phrase book, the mountain hut, cheap flights
    """,
}

#: The words of each topic.
WORDS = {topic: tuple(" ".join(words.split()).split(", ")) for topic, words in _LISTS.items()}
#: The names of the topics.
TOPICS = tuple(WORDS)
#: How often a word of any topic slips in.
STRAY = 0.1

# What stands before, between and after the three words of a post.
_TEMPLATES = (
    ("Spent the evening with ", " and ", ", and ", " was the best part."),
    ("Does anyone here know about ", "? I keep coming back to ", " and ", "."),
    ("Today it was all about ", ", then ", ", then ", "."),
    ("My advice on ", ": begin with ", ", and leave ", " for later."),
    ("Nobody told me that ", " would lead to ", " and ", "."),
    ("Three things I learned about this week: ", ", ", ", ", "."),
    ("Still thinking about ", ". Next time: ", " or ", "?"),
    ("Unpopular opinion: ", " beats ", ", and ", " beats both."),
    ("A good day for ", ", a bad day for ", ". Tomorrow ", " again."),
    ("I have waited years for ", ", and now there is ", " and ", " too!"),
    ("Can we talk about ", " for a moment? And about ", ", and ", "?"),
    ("If you like ", ", you should try ", " with ", "."),
)


def write_posts(topics: NDArray[np.int64], rng: np.random.Generator) -> NDArray[Any]:
    """Write a post of one sentence or two for each pair of topics.

    Two of the three words come from the first topic and one from the second; one in ten is
    replaced by a word of any topic.

    Parameters
    ----------
    topics : NDArray[int64]
        Numbers of two topics each, twice the same where there is one, shape (n, 2).
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    NDArray[object]
        Texts, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> both = np.array([[TOPICS.index("cooking"), TOPICS.index("travel")]])
    >>> write_posts(both, np.random.default_rng(1))[0]
    'My advice on roast carrots: begin with lemon tart, and leave a phrase book for later.'
    """
    words = np.array([WORDS[topic] for topic in TOPICS], dtype=object)
    of_slot = topics[:, [0, 0, 1]]
    stray = rng.random(of_slot.shape) < STRAY
    of_slot = np.where(stray, rng.integers(len(TOPICS), size=of_slot.shape), of_slot)
    which = np.argsort(rng.random((len(topics), words.shape[1])), axis=1)[:, :3]
    chosen = words[of_slot, which]
    around = np.array(_TEMPLATES, dtype=object)[rng.integers(len(_TEMPLATES), size=len(topics))]
    text = around[:, 0]
    for slot in range(3):
        text = text + chosen[:, slot] + around[:, slot + 1]
    return text
