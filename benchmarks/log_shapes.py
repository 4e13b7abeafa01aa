"""The shape of real logs, for comparing simulated worlds with them."""

from __future__ import annotations

import argparse

import pandas as pd

from behaviorseq import load, log_shape
from measure import write_result

NAMES = ("movielens-100k", "complete-journey", "taobao-head", "online-retail")
ABOUT = (
    "behaviorseq.log_shape of real logs: history lengths, popularity, times between events, "
    "sessions, repetition, funnel. complete-journey by product type. taobao-head and "
    "online-retail are read from files of the reader's own, found through BEHAVIORSEQ_DATA."
)


def main() -> None:
    """Measure, print the table and write it to ``results/log_shapes.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help="data sets (default: all four)")
    rows = []
    for name in parser.parse_args().names:
        shape = log_shape(load(name).events)
        known = {key: round(value, 6) for key, value in shape.dropna().items()}
        rows.append({"log": name, **known})
    print(pd.DataFrame(rows).set_index("log").T.to_string())
    print(write_result("log_shapes", rows, about=ABOUT).name)


if __name__ == "__main__":
    main()
