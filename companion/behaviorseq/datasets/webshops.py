"""Data sets of shops on the web: the invoices of Online Retail, what people did on Taobao."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .sources import File, OwnFile, Source, Web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .sources import Tables

#: Stock codes of Online Retail that are no product: carriage, entries by hand, fees.
CHARGES = ("POST", "C2", "DOT", "M", "BANK CHARGES")
#: The names of behaviors on Taobao.
TAOBAO = {"pv": "view", "fav": "favorite", "cart": "cart", "buy": "purchase"}


def _read_online_retail(paths: Mapping[str, Path], item: str) -> Tables:
    """Read the invoice lines of known customers."""
    lines = pd.read_parquet(paths["online_retail.parquet"])
    lines = lines[lines["CustomerID"] > 0].reset_index(drop=True)
    title = lines["Description"].str.strip()
    events = pd.DataFrame(
        {
            "user": lines["CustomerID"].astype("int64"),
            "item": lines["StockCode"],
            "time": pd.to_datetime(lines["InvoiceDate"], format="%Y-%m-%d %H:%M:%S"),
            "behavior": "purchase",
            "value": lines["Quantity"] * lines["UnitPrice"],
            "price": lines["UnitPrice"],
            "session": lines["InvoiceNo"],
            "quantity": lines["Quantity"],
            "country": lines["Country"],
        }
    )
    items = _commonest(events["item"], title.rename("title"))
    items = items.assign(charge=items["item"].isin(CHARGES))
    return events, items, _commonest(events["user"], events["country"])


def _commonest(key: pd.Series[object], entry: pd.Series[object]) -> pd.DataFrame:
    """Tabulate the entry that most rows of each key have, sorted by key; of two, the lower."""
    table = pd.concat([key, entry], axis=1).value_counts(sort=False).rename("n").reset_index()
    table = table.sort_values([key.name, "n", entry.name], ascending=[True, False, True])
    return table.drop_duplicates(key.name).drop(columns="n").reset_index(drop=True)


def _read_taobao(paths: Mapping[str, Path], item: str) -> Tables:
    """Read lines of UserBehavior.csv."""
    names = ["user", "item", "category", "behavior", "time"]
    lines = pd.read_csv(paths["UserBehavior_head.csv.gz"], names=names)
    events = lines.assign(
        time=pd.to_datetime(lines["time"], unit="s"), behavior=lines["behavior"].map(TAOBAO)
    )
    users = pd.DataFrame({"user": events["user"].drop_duplicates().sort_values(ignore_index=True)})
    items = _commonest(events["item"], events["category"])
    return events[["user", "item", "time", "behavior", "category"]], items, users


ONLINE_RETAIL = Source(
    name="online-retail",
    title="Online Retail: a year of a British gift shop",
    n_events=397_924,
    n_users=4_339,
    items={"product": 3_665},
    behaviors=("purchase",),
    times=(
        "Minutes, from 2010-12-01 to 2011-12-09, without a time zone: as orders come in at the "
        "same hours in summer and in winter, it seems to be the clock of the shop "
        "(Europe/London); it is left as it is. The lines of an invoice share their time, 21.5 "
        "lines an invoice, so the order inside an invoice is not known: 99.7% of the lines share "
        "their time with another of the same customer."
    ),
    ordered_only=False,
    licence="CC BY 4.0, as the UCI page of the data set states",
    citation=(
        "Daqing Chen (2015). Online Retail. UCI Machine Learning Repository. "
        "https://doi.org/10.24432/C5BW33. Daqing Chen, Sai Laing Sain, Kun Guo (2012). Data "
        "mining for the online retail industry: A case study of RFM model-based customer "
        "segmentation using data mining. Journal of Database Marketing & Customer Strategy "
        "Management 19(3), 197-208. https://doi.org/10.1057/dbm.2012.17"
    ),
    url="https://archive.ics.uci.edu/dataset/352/online+retail",
    notes=(
        "Many customers are wholesalers. A row is a line of an invoice: session is the invoice, "
        "price the pounds of a piece, value the pounds of the line; quantity and country are "
        "kept. 133,358 of the 531,282 lines of the file have no customer and are left out. The "
        "file is a copy that has left out 10,627 of the 541,909 lines of UCI's, those of "
        "cancellations and returns among them: there is no behavior return, and what was "
        "cancelled later is still a purchase. 5,192 lines repeat another in all columns and are "
        "kept. 40 lines cost nothing. 1,550 lines are carriage, fees and entries by hand: charge "
        "is true of these items. The title of a product and the country of a customer are those "
        "of most of their lines."
    ),
    files=(
        File(
            "online_retail.parquet",
            "ad09db649d5ee696a47d87d042b4c364c0d386a6873f195e34bda01411d2349d",
            3_305_306,
            Web(
                "https://raw.githubusercontent.com/Yussufgit/retail-customer-analytics/"
                "f91dc953cdf6cbd8db987c5a035ee26fcb595347/data/online_retail.parquet"
            ),
        ),
    ),
    read=_read_online_retail,
)

TAOBAO_HEAD = Source(
    name="taobao-head",
    title="Taobao user behavior, the first 84,475 lines",
    n_events=84_475,
    n_users=815,
    items={"product": 55_368},
    behaviors=("view", "cart", "favorite", "purchase"),
    times=(
        "Seconds, UTC, in the period 2017-11-25 to 2017-12-03 of China (UTC+8) that Alibaba "
        "states; 35 events are earlier, the first of 2017-09-11. Only 0.5% of the events share "
        "their second with another of the same user, so the order is known. Nine days: no season, "
        "and 4% of the purchases are of a product that the user had bought before."
    ),
    ordered_only=False,
    licence=(
        "Alibaba offers the data on Tianchi for research on recommendation with implicit feedback; "
        "read the terms on its page, which asks for a login"
    ),
    citation=(
        "User Behavior Data from Taobao for Recommendation. Alibaba, Tianchi data set 649. Han "
        "Zhu, Xiang Li, Pengye Zhang, Guozheng Li, Jie He, Han Li, Kun Gai (2018). Learning "
        "Tree-based Deep Model for Recommender Systems. KDD 2018. "
        "https://doi.org/10.1145/3219819.3219826"
    ),
    url="https://tianchi.aliyun.com/dataset/649",
    notes=(
        "The head of a file of 100 million lines, in the order of the text of user ids (1, 100, "
        "1000, 1000001, ...), so users were not chosen by what they did; the last of them, "
        "100370, is cut. pv is view, fav favorite, buy purchase. category is kept; the items "
        "table has the commonest of each item. With 1.5 events an item it is too sparse to judge "
        "a recommender of items; there are 2,914 categories. All events are kept."
    ),
    files=(
        File(
            "UserBehavior_head.csv.gz",
            "fa0e8c3d8d9465cafc73f60569a5b1e5af23423c84445c9f750540cb5bde7a29",
            791_886,
            OwnFile(
                "take UserBehavior.csv from https://tianchi.aliyun.com/dataset/649 (a login is "
                "needed) and cut it: python -c \"import gzip, itertools; gzip.GzipFile('', "
                "'wb', fileobj=open('UserBehavior_head.csv.gz', 'wb'), mtime=0).writelines("
                "itertools.islice(open('UserBehavior.csv', 'rb'), 84_475))\""
            ),
        ),
    ),
    read=_read_taobao,
)
