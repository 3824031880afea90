"""Write short company news from patterns of our own that are filled in at random.

They cover what the public rows rarely contain: results with numbers and units, orders, negations.
The label follows from the pattern. No pattern is taken from an evaluation set, or from the
sentences that :mod:`leanbert_training.robustness` measures on.
"""

from __future__ import annotations

import random

# {c} is a company, {u2} another company, {m} a measure of profit, {s} of sales, {l} of loss,
# {hi} and {lo} are amounts with hi > lo, {u} is a unit, {p} a percentage, {t} a period.
POSITIVE = (
    "{c}'s {m} rose to {hi} {u} in {t} from {lo} {u} a year earlier .",
    "{m} for {t} came to {hi} {u}, up from {lo} {u} .",
    "{s} grew by {p} % to {hi} {u} and {m} improved to {lo} {u} .",
    "{c} swung to a {m} of {hi} {u}, compared with a loss of {lo} {u} in {t} .",
    "The company's {l} narrowed to {lo} {u} from {hi} {u} .",
    "{c} turned a profit of {lo} {u} after a loss of {hi} {u} in {t} .",
    "{c} has won an order worth {hi} {u} from {u2} .",
    "{c} signed a {p}-year contract with {u2} valued at {hi} {u} .",
    "{c} raised its outlook for {t} and now sees {s} up {p} % .",
    "{c} lifts its dividend to {lo} {u} as {m} jumps {p} %",
    "{c}: costs fell by {p} % , and {m} doubled to {hi} {u} .",
    "Demand was stronger than expected, and {c} increased its market share .",
    "{c} did not disappoint : {m} was above every forecast",
    "{c} no longer expects a loss for {t} .",
    "The outlook at {c} has never been better, its chief executive said .",
    "{c} avoided the writedown that analysts had feared",
    "{c} beats estimates on {s} and {m}",
    "{c} upgraded to buy at {u2} on improving margins",
    "{c} will hire {p} engineers as orders grow .",
    "Despite weak markets, {m} at {c} increased {p} % .",
)
NEGATIVE = (
    "{c}'s {m} fell to {lo} {u} in {t} from {hi} {u} a year earlier .",
    "{m} for {t} came to {lo} {u}, down from {hi} {u} .",
    "{s} decreased by {p} % to {lo} {u} .",
    "{c} slipped to a loss of {lo} {u}, compared with a {m} of {hi} {u} in {t} .",
    "The company's {l} widened to {hi} {u} from {lo} {u} .",
    "{c} posted a {l} of {hi} {u} in {t} .",
    "{c} lost an order worth {hi} {u} to {u2} .",
    "{c} will cut {p} % of its workforce and close a plant .",
    "{c} started negotiations with personnel on temporary lay-offs .",
    "{c} lowered its outlook for {t} and now sees {s} down {p} % .",
    "{c} suspends its dividend as {m} drops {p} %",
    "{c}: costs rose by {p} % , and {m} halved to {lo} {u} .",
    "Demand was weaker than expected, and {c} lost market share .",
    "{c} did not live up to forecasts for {t}",
    "{c} no longer expects a profit for {t} .",
    "{c} failed to return to growth in {t} .",
    "{c} was unable to avoid a writedown of {hi} {u}",
    "{c} misses estimates on {s} and {m}",
    "{c} downgraded to sell at {u2} on shrinking margins",
    "Despite strong markets, {m} at {c} declined {p} % .",
)
NEUTRAL = (
    "{c} will publish its results for {t} on Thursday .",
    "{c}'s {s} in {t} amounted to {hi} {u} .",
    "{c} has appointed a new head of finance, who will report to the chief executive .",
    "{c} and {u2} will build the plant together ; the value of the deal was not disclosed .",
    "{c} has operations in {p} countries and employs some {p}00 people .",
    "The shares of {c} are listed in New York and London .",
    "{c} will hold its annual general meeting in March .",
    "{c} sells its stake of {p} % in {u2} for {hi} {u} .",
    "The number of shares in {c} was {p} million at the end of {t} .",
    "{m} at {c} was unchanged at {hi} {u} .",
    "{c} did not give a reason for the change of date",
    "{c} is not in talks with {u2}, a spokesman said .",
    "The building has a floor area of {p}00 square metres and will be ready in {t} .",
    "{c} presents its new phone at a trade fair .",
    "Here is what to know about {c} before {t}",
    "{c} starts at hold at {u2} with a target of ${lo}",
    "{c} makes paper machines, and its customers include {u2} .",
    "The financing details of {c}'s purchase of {u2} were not given .",
)
_COMPANIES_JOINED = (
    "Aldermoor|Brintex|Calloway Foods|Delvista|Eastmark Energy|Fenwick Labs|Granholm|Hexadyne|"
    "Ivory Point|Jarvisto|Kestrel Steel|Lumenara|Marlow & Co|Nordhavn Shipping|Ostrava Paper|"
    "Pinecrest Bank|Quillon|Ravenna Motors|Solvane|Tarnwick|Umbra Networks|Vantreight|"
    "Westerby Homes|Xylom|Yarrow Health|Zephyrine Air|Apple|Tesla|Boeing|Nokia|Walmart|Pfizer|"
    "Netflix|Siemens"
)
_COMPANIES = tuple(_COMPANIES_JOINED.split("|"))
_MEASURES_JOINED = (
    "operating profit|net profit|pretax profit|profit|EBITDA|net income|earnings per share|EBIT"
)
_MEASURES = tuple(_MEASURES_JOINED.split("|"))
_SALES = ("net sales", "revenue", "sales", "turnover", "order intake", "like-for-like sales")
_LOSSES = ("net loss", "operating loss", "pretax loss", "loss")
_UNITS = (
    "million euros",
    "mn EUR",
    "million dollars",
    "billion dollars",
    "mln",
    "million pounds",
    "bn",
)
_PERIODS_JOINED = (
    "the first quarter|the second quarter|the third quarter|the fourth quarter|2019|2023|"
    "the full year|the first half|Q1|Q3|the period|January to September"
)
_PERIODS = tuple(_PERIODS_JOINED.split("|"))


def _fill(pattern: str, rng: random.Random) -> str:
    first, second = rng.sample(_COMPANIES, 2)
    low = rng.uniform(0.5, 400)
    digits = rng.choice((0, 1, 1, 2))
    text = pattern.format(
        c=first,
        u2=second,
        m=rng.choice(_MEASURES),
        s=rng.choice(_SALES),
        l=rng.choice(_LOSSES),
        u=rng.choice(_UNITS),
        t=rng.choice(_PERIODS),
        p=rng.randint(2, 60),
        lo=f"{low:.{digits}f}",
        hi=f"{low * rng.uniform(1.1, 2.5) + 1:.{digits}f}",
    )
    return text[0].upper() + text[1:]


def generate(rows: int, seed: int = 0) -> list[tuple[str, int]]:
    """``rows`` sentences with their labels 0 (positive), 1 (negative) and 2 (neutral), in turns."""
    rng = random.Random(seed)
    patterns = (POSITIVE, NEGATIVE, NEUTRAL)
    return [(_fill(rng.choice(patterns[i % 3]), rng), i % 3) for i in range(rows)]
