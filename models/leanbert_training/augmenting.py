"""Change the links, tickers and names of training texts, none of which may change their label.

Trained on the changed texts, the model cannot learn that a company is good or bad news in itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_LINK = re.compile(r"\s*https?://\S+")
_CASHTAG = re.compile(r"\$[A-Z]{1,5}\b")
KEEP_LINKS = 0.25
"""Share of the batches whose texts keep their links."""
SWAPS = 0.4
"""Share of the texts whose cashtags are swapped; the same share has its names swapped."""

_NAMES_JOINED = (
    "Apple|Amazon|Tesla|Microsoft|Boeing|Netflix|Facebook|Google|Alphabet|Nvidia|Intel|Disney|"
    "Walmart|Target|Starbucks|Nike|Ford|General Motors|Goldman Sachs|JPMorgan|Citigroup|"
    "Wells Fargo|Bank of America|Morgan Stanley|Pfizer|Merck|Moderna|AbbVie|Chevron|"
    "Exxon Mobil|Shell|BP|Uber|Lyft|Airbnb|Twitter|Snap|Salesforce|Oracle|IBM|Cisco|Qualcomm|"
    "AMD|Micron|Adobe|PayPal|Visa|Mastercard|American Express|Berkshire Hathaway|Costco|Kroger|"
    "Macy's|Kohl's|Best Buy|Home Depot|Lowe's|McDonald's|Chipotle|Coca-Cola|PepsiCo|"
    "Kraft Heinz|Beyond Meat|Procter & Gamble|Johnson & Johnson|Delta|United Airlines|"
    "American Airlines|Caterpillar|Deere|3M|General Electric|Honeywell|Lockheed Martin|Comcast|"
    "Verizon|AT&T|T-Mobile|Roku|Spotify|Zoom|Palantir|CoreWeave|Broadcom|Alibaba|Toyota|"
    "Samsung|Sony|Nokia|Ericsson|Siemens|Volkswagen|BMW"
)
NAMES = tuple(_NAMES_JOINED.split("|"))
"""Well-known companies. The list is our own, and it need not be complete."""

_NAME = re.compile(
    r"\b(?:" + "|".join(re.escape(n) for n in sorted(NAMES, key=len, reverse=True)) + r")\b"
)


def cashtags(texts: Sequence[str]) -> list[str]:
    """Every cashtag in ``texts``, in alphabetical order."""
    return sorted({tag for text in texts for tag in _CASHTAG.findall(text)})


def without_links(text: str) -> str:
    """``text`` without its web addresses, or ``text`` itself if nothing else is in it."""
    return _LINK.sub("", text).strip() or text


def swap_names(text: str, rng: random.Random) -> str:
    """Replace the name of each known company by another one, the same throughout the text."""
    chosen: dict[str, str] = {}
    return _NAME.sub(lambda m: chosen.setdefault(m[0], rng.choice(NAMES)), text)


def swap_tickers(text: str, tags: Sequence[str], rng: random.Random) -> str:
    """Replace each cashtag by one of ``tags``, the same throughout the text."""
    chosen: dict[str, str] = {}
    return _CASHTAG.sub(lambda m: chosen.setdefault(m[0], rng.choice(tags)), text)


def augment(
    text: str, tags: Sequence[str], rng: random.Random, *, links: bool, swaps: float = SWAPS
) -> str:
    """One random variant of ``text``.

    Args:
        text: the text.
        tags: the cashtags to choose from.
        rng: the only source of chance.
        links: whether the text keeps its links.
        swaps: the probability that cashtags are swapped, and that names are.
    """
    if not links:
        text = without_links(text)
    if tags and rng.random() < swaps:
        text = swap_tickers(text, tags, rng)
    if rng.random() < swaps:
        text = swap_names(text, rng)
    return text
