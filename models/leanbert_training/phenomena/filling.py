"""The companies, amounts, dates and registers of the sentences that patterns make."""

from __future__ import annotations

import random

from leanbert_training.augmenting import NAMES

_STARTS_JOINED = (
    "Al|Ander|Ar|Bal|Bel|Bright|Brook|Cald|Car|Cas|Clay|Cor|Dal|Del|Dor|East|Elm|El|Fair|Fal|"
    "Fen|Fern|Gal|Glen|Gran|Green|Hal|Har|Hart|Haw|Hol|Ing|Iver|Kal|Kel|Kes|Kings|Lan|Lar|Lin|"
    "Lor|Mal|Mar|Mer|Mid|Mor|Nor|North|Oak|Ol|Or|Pal|Pen|Per|Quill|Ran|Red|Ros|Sal|Sel|Sil|"
    "Sol|South|Stan|Tal|Tar|Ter|Thorn|Tor|Ul|Val|Ver|Vil|Wal|Wen|West|Whit|Wil|Yar|Zel"
)
_STARTS = tuple(_STARTS_JOINED.split("|"))
_ENDS_JOINED = (
    "aden|ara|aven|berg|bourne|bridge|bury|by|combe|dale|dane|den|dor|dyne|elan|elle|en|er|"
    "ero|eston|eta|field|ford|gard|gate|ham|hurst|ia|ica|idia|ini|iro|is|ix|land|ley|line|lor|"
    "low|mark|mere|mont|moor|more|nova|on|ora|os|ova|port|ridge|rin|rose|sen|shire|side|son|"
    "stead|stone|ta|tec|ton|tor|tra|ura|us|vale|via|vik|ville|vista|ward|well|wick|win|wood|"
    "worth|yn"
)
_ENDS = tuple(_ENDS_JOINED.split("|"))
_FORMS_JOINED = (
    "Group|Energy|Foods|Bank|Motors|Pharma|Steel|Airlines|Software|Insurance|Retail|Mining|"
    "Chemicals|Telecom|Logistics|Media|Homes|Bio|Labs|Systems|Holdings|Industries|Textiles|"
    "Marine|Rail|Health|Cement|Wind|Paper|Devices|Tools|Hotels|Gaming|Robotics|Cloud|"
    "Beverages|Water|Ports|Trust"
)
_FORMS = tuple(_FORMS_JOINED.split("|"))
_BANKS = ("Bank", "Savings", "Trust", "Bancorp", "Financial", "Credit", "Lending")
_UNITS = (  # and how many digits follow the point
    ("EUR {} mn", 0), ("EUR {} million", 0), ("{} million euros", 0), ("${} million", 0),
    ("${} mn", 0), ("${}m", 0), ("£{}m", 0), ("GBP {} mn", 0), ("USD {}m", 0), ("€{}m", 0),
    ("Rs {} crore", 0),
    ("${} billion", 1), ("${}bn", 1), ("{} million dollars", 0), ("SEK {} mn", 0),
    ("EUR {} MLN", 0),
)  # fmt: skip
_PERCENT = ("{}%", "{}%", "{}%", "{} percent", "{} per cent", "{}pct")
_CONSONANTS, _LETTERS = "BCDFGHKLMNPRSTVXZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPENINGS = ("UPDATE 1-", "BRIEF-", "BREAKING: ", "JUST IN: ", "* ", "UPDATE: ", "News: ", "RPT-")
_CLOSINGS = (
    ", sources say",
    " - report",
    ", company says",
    " - analysts",
    " https://example.com/x",
)


def company(rng: random.Random, *, bank: bool = False) -> str:
    """A company that does not exist; in one of six cases a well-known one, unless it is a bank."""
    if not bank and rng.random() < 1 / 6:
        return rng.choice(NAMES)
    name = rng.choice(_STARTS) + rng.choice(_ENDS)
    return name if rng.random() < 0.3 else f"{name} {rng.choice(_BANKS if bank else _FORMS)}"


def ticker(rng: random.Random) -> str:
    """A ticker of three or four letters, without its dollar sign."""
    return rng.choice(_CONSONANTS) + "".join(rng.choices(_LETTERS, k=rng.choice((2, 3))))


class Values:
    """The values of the slots that no pattern describes, for one sentence.

    The amounts of one sentence fit together: of two that are compared, ``hi`` is above ``lo``, and
    ``p``, ``p2`` and ``p3`` rise.
    """

    def __init__(self, rng: random.Random) -> None:
        unit, digits = rng.choice(_UNITS)
        low = (
            rng.uniform(1, 9.5)
            if digits
            else rng.choice((rng.uniform(2, 30), rng.uniform(30, 900)))
        )
        high = low * rng.uniform(1.15, 3.2) + 1
        shown = digits if digits or low > 30 else rng.choice((0, 1))
        percent = rng.choice(_PERCENT)
        first = rng.randint(2, 20)
        second = first + rng.randint(3, 30)
        count = rng.choice((rng.randint(3, 99) * 10, rng.randint(2, 90) * 1000))
        price = rng.randint(8, 300)
        eps = rng.randint(11, 490) / 100
        step = rng.randint(2, 60) / 100
        small = rng.randint(2, 40)
        self._values = {
            "lo": unit.format(f"{low:.{shown}f}"),
            "hi": unit.format(f"{high:.{shown}f}"),
            "p": percent.format(first),
            "p2": percent.format(second),
            "p3": percent.format(second + rng.randint(2, 20)),
            "pd": percent.format(f"{rng.uniform(3, 9):.2f}"),
            "pc": percent.format(f"{rng.choice((0.1, 0.5, 1, 2))}"),
            "n": str(rng.randint(2, 14)),
            "n2": str(rng.randint(15, 40)),
            "k": f"{count:,}",
            "k2": f"{int(count * rng.uniform(1.3, 3)):,}",
            "eps": f"{eps:.2f}",
            "epslo": f"{max(0.01, eps - step):.2f}",
            "epshi": f"{eps + step:.2f}",
            "cents": f"0.{rng.randint(1, 40):02d}",
            "cents2": str(rng.randint(1, 20)),
            "lon": str(price),
            "hin": str(int(price * rng.uniform(1.1, 1.9)) + 1),
            "epsn": str(int(price * 0.8)),
            "loc": str(small),
            "hic": str(small + rng.randint(1, 30)),
            "bp": str(rng.randint(4, 40) * 10),
            "year": str(rng.choice((*range(2004, 2025), *range(2025, 2032)))),
            "dd": str(rng.randint(1, 28)),
            "ticker": ticker(rng),
            "to": "->",
            "c": f"${ticker(rng)}" if rng.random() < 0.06 else company(rng),
            "c2": company(rng),
            "b": company(rng, bank=True),
        }  # fmt: skip

    def __call__(self, name: str) -> str:
        """The value of a slot.

        Raises:
            KeyError: no such slot.
        """
        return self._values[name]


def registered(text: str, rng: random.Random) -> str:
    """The text in one of several registers: headline, sentence, flash in capitals, post."""
    text = " ".join(text.split()).replace(" ,", ",").replace(" :", ":")
    text = text[0].upper() + text[1:]
    chance = rng.random()
    if chance < 0.06:
        text = rng.choice(_OPENINGS) + text
    elif chance < 0.12 and text[-1].isalnum():
        text += rng.choice(_CLOSINGS)
    elif chance < 0.5 and text[-1].isalnum():
        text += rng.choice((".", ".", ".", " .", "!"))
    return text.upper() if rng.random() < 0.08 else text
