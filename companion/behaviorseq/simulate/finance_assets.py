"""The assets of the finance world: their kinds, risk classes, charges, names and descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .base import World

#: Annual volatilities at which the market risk classes 2 to 7 begin (class 1 is below them all):
#: Commission Delegated Regulation (EU) 2017/653, annex II, part 1, point 2. With little credit
#: risk (credit risk classes 1 and 2) this class is the summary risk indicator (part 3).
CLASS_BOUNDS = np.array([0.005, 0.05, 0.12, 0.20, 0.30, 0.80])
CENTS = 100


class Kind(NamedTuple):
    """A kind of asset.

    Variance shares of the four sources of return sum to 1; charges are in percent, of the value a
    year and of an order; the least order is in cents.
    """

    name: str
    share: float  # of all assets
    volatility: float  # median, a year
    spread: float  # standard deviation of the logarithm of the volatility
    market: float
    sector: float
    rate: float
    own: float
    annual_fee: float
    entry_fee: float
    minimum: int


KINDS = (
    Kind("money fund", 0.04, 0.004, 0.25, 0.00, 0.00, 0.50, 0.50, 0.15, 0.00, 5_000),
    Kind("bond", 0.16, 0.045, 0.50, 0.05, 0.05, 0.70, 0.20, 0.00, 0.25, 100_000),
    Kind("bond fund", 0.12, 0.050, 0.35, 0.05, 0.05, 0.80, 0.10, 0.50, 0.50, 5_000),
    Kind("mixed fund", 0.14, 0.090, 0.25, 0.60, 0.05, 0.25, 0.10, 1.00, 1.00, 5_000),
    Kind("share fund", 0.24, 0.170, 0.20, 0.75, 0.15, 0.00, 0.10, 1.20, 1.00, 5_000),
    Kind("share", 0.30, 0.320, 0.40, 0.35, 0.20, 0.00, 0.45, 0.00, 0.25, 10_000),
)
#: The kind of item 0, which holds the money that is not invested.
ACCOUNT = "account"

#: Each sector and what its companies do.
SECTORS = {
    "technology": ("semiconductors", "software", "cloud computing", "robotics"),
    "health": ("medicines", "medical devices", "hospitals", "gene research"),
    "energy": ("wind and solar power", "oil and gas", "power storage", "pipelines"),
    "finance": ("banking", "insurance", "payments", "stock exchanges"),
    "consumer": ("food and drink", "fashion", "travel", "online shops"),
    "industry": ("machines", "railways", "aircraft", "logistics"),
    "property": ("housing", "offices", "warehouses", "care homes"),
    "materials": ("steel", "chemicals", "copper mining", "paper"),
    "government": ("public debt", "state budgets", "public works", "treasury bills"),
    "broad": ("many countries", "many sectors", "the whole market", "large and small firms"),
}
_N_TRADES = len(SECTORS) - 2
_HOUSES = (
    *("Alder", "Beacon", "Cedar", "Delta", "Ember", "Falcon", "Granite", "Harbour", "Iris"),
    *("Juniper", "Keystone", "Lark", "Meridian", "Northlight", "Orchard", "Pioneer", "Quarry"),
    *("Ridge", "Summit", "Tern", "Union", "Vale", "Willow", "Zenith"),
)
_NOUNS = {
    "money fund": "Money Fund",
    "bond": "Bond",
    "bond fund": "Bond Fund",
    "mixed fund": "Balanced Fund",
    "share fund": "Share Fund",
    "share": "Company",
}
_OPENINGS = {
    "money fund": "A fund that lends for days and weeks, in",
    "bond": "A loan with a fixed interest, for",
    "bond fund": "A fund that holds many bonds, in",
    "mixed fund": "A fund that holds shares and bonds, in",
    "share fund": "A fund that holds the shares of many companies, in",
    "share": "A share of one company, in",
}
_SWINGS = (
    *("hardly swings", "swings a little", "swings modestly", "swings noticeably"),
    *("swings strongly", "swings very strongly", "swings wildly"),
)
_HORIZONS = (
    *("money needed within the year", "saving over two years", "saving over three years"),
    *("saving over five years", "growth over eight years", "growth over ten years"),
    "speculation with money one can lose",
)


@dataclass(frozen=True, eq=False)
class Assets:
    """All assets; item 0 is the account.

    Parameters
    ----------
    table : pandas.DataFrame
        What everybody can read of them.
    kind, sector : NDArray[int64]
        Places in `KINDS` (-1 for the account) and in `SECTORS`.
    volatility : NDArray[float64]
        Annual standard deviation of the return in the long run.
    risk_class : NDArray[int64]
        1 to 7.
    charges : NDArray[float64]
        What a customer feels as its price: annual fee and a third of the entry fee, in percent.
    entry_fee : NDArray[float64]
        Percent of an order.
    annual_fee : NDArray[float64]
        Percent of the value a year, taken out of the price.
    minimum : NDArray[int64]
        Least order, in cents.
    prominence : NDArray[float64]
        Logarithm of how much more often it is come across, by a power law.
    """

    table: pd.DataFrame
    kind: NDArray[np.int64]
    sector: NDArray[np.int64]
    volatility: NDArray[np.float64]
    risk_class: NDArray[np.int64]
    charges: NDArray[np.float64]
    entry_fee: NDArray[np.float64]
    annual_fee: NDArray[np.float64]
    minimum: NDArray[np.int64]
    prominence: NDArray[np.float64]


def risk_class_of(volatility: ArrayLike) -> NDArray[np.int64]:
    """Give the risk class, 1 to 7, of annual volatilities.

    The bands are those of Commission Delegated Regulation (EU) 2017/653, annex II, part 1,
    point 2, as amended by (EU) 2021/2268; there the volatility is the one that corresponds to a
    value at risk, here the plain standard deviation of annual returns.

    Examples
    --------
    >>> risk_class_of([0.001, 0.005, 0.1, 0.16, 0.25, 0.5, 0.8])
    array([1, 2, 3, 4, 5, 6, 7])
    """
    return np.searchsorted(CLASS_BOUNDS, np.asarray(volatility), side="right") + 1


def make_assets(world: World) -> Assets:
    """Draw the assets of a world."""
    rng = world.rng("assets")
    n = world.n_items
    kind = rng.choice(len(KINDS), size=n, p=column("share"))
    sector = _draw_sectors(kind, rng)
    spread = np.exp(column("spread")[kind] * rng.standard_normal(n))
    volatility = column("volatility")[kind] * spread
    annual = np.round(column("annual_fee")[kind] * np.exp(0.3 * rng.standard_normal(n)), 2)
    prominence = -0.7 * np.log(1 + rng.permutation(n))
    entry = column("entry_fee")[kind]
    minimum = column("minimum")[kind].astype(np.int64)
    kind[0], volatility[0], prominence[0] = -1, 0.0, -np.inf
    annual[0] = entry[0] = minimum[0] = 0
    table = pd.DataFrame(
        {
            "item": np.arange(n),
            "kind": [ACCOUNT, *(KINDS[k].name for k in kind[1:])],
            "sector": ["none", *(list(SECTORS)[s] for s in sector[1:])],
            "risk_class": risk_class_of(volatility),
            "annual_fee": annual,
            "entry_fee": entry,
            "minimum": minimum / CENTS,
        }
    )
    return Assets(
        table=_describe(table, sector, rng),
        kind=kind,
        sector=sector,
        volatility=volatility,
        risk_class=table["risk_class"].to_numpy(),
        charges=annual + entry / 3,
        entry_fee=entry,
        annual_fee=annual,
        minimum=minimum,
        prominence=prominence,
    )


def column(name: str) -> NDArray[np.float64]:
    """Take one property of all kinds."""
    return np.array([getattr(kind, name) for kind in KINDS], dtype=np.float64)


def _draw_sectors(kind: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw sectors: shares have a trade; governments issue bonds; mixed funds are broad."""
    #                   money fund, bond, bond fund, mixed fund, share fund, share
    government = np.array([1.0, 0.5, 0.4, 0.0, 0.0, 0.0])[kind]
    broad = np.array([0.0, 0.0, 0.4, 1.0, 0.4, 0.0])[kind]
    place = rng.random(len(kind))
    trade = rng.integers(_N_TRADES, size=len(kind))
    rest = np.where(place < government + broad, _N_TRADES + 1, trade)
    return np.where(place < government, _N_TRADES, rest)


def _describe(
    table: pd.DataFrame, sector: NDArray[np.int64], rng: np.random.Generator
) -> pd.DataFrame:
    """Add names and descriptions: what an asset holds, how it swings, what for, at what price."""
    houses = np.array(_HOUSES)[rng.integers(len(_HOUSES), size=len(table))]
    themes = np.array(list(SECTORS.values()))[sector, rng.integers(4, size=len(table))]
    rows = list(zip(table.itertuples(), houses, themes, strict=True))[1:]
    plain = pd.Series([f"{house} {theme.title()} {_NOUNS[row.kind]}" for row, house, theme in rows])
    number = plain.groupby(plain).cumcount()
    names = plain.where(number == 0, plain + " " + (number + 1).astype(str))
    texts = [
        f"{_OPENINGS[row.kind]} {theme}. Its price {_SWINGS[row.risk_class - 1]}; meant for "
        f"{_HORIZONS[row.risk_class - 1]}. Charges {row.annual_fee:.2f}% a year and "
        f"{row.entry_fee:.2f}% of an order."
        for row, _, theme in rows
    ]
    account = "Holds the money that is not invested; it does not swing and costs nothing."
    table.insert(1, "name", ["Settlement Account", *names])
    table.insert(2, "description", [account, *texts])
    return table
