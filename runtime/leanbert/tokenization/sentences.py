"""Cut text into sentences by rules, with exact offsets; nothing is downloaded or trained.

The rules are written for news and company reports: a period after a title, an initial, a company's
form, a month or a number does not end a sentence unless what follows begins one. They are for
languages in Latin script; the full stops of Chinese and Japanese end a sentence, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["sentence_spans"]

# A stop (". . ." is one), what closes with it, and the gap: white space, or after a full-width stop
# nothing. Runs are bounded, and blank lines are looked for where white space begins, so that no
# text takes quadratic time.
_STOP = re.compile(
    r"""(?P<stop>(?:[.!?…]|(?<=\.)\s(?=\.)){1,32})(?P<close>["'”’»)\]}]{0,8})(?P<gap>\s+)"""
    r"""|(?P<wide>[。！？]+[”’」』）]*)\s*"""
    r"""|(?P<blank>(?<!\s)\s*\n[^\S\n]*\n\s*)"""
)
_OPENERS = "\"'“‘«([{-–—•*"
_INNER = tuple(")]},;:")  # what no sentence begins with
_WORD = re.compile(r"[^\W_]+(?:[.'’&-][^\W_]+)*")
_BEFORE = re.compile(r"\S+$")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Always followed by what they belong to: they never end a sentence.
_LEADING = _words(
    """
    mr mrs ms mx dr prof sen rep reps gov gen col lt sgt capt cmdr adm maj st ste mt ft rev hon
    pres supt messrs mme mlle vs v fig figs eq sec ch vol pp cf al ca approx e.g i.e viz ed eds
    tel dept inst pvt
    """
)
# Before a number they belong to it ("No. 5", "Art. 3"); otherwise they are words.
_NUMBERED = _words(
    """
    no nos nr art par para p pg item ex
    """
)
# These end a sentence only where the next word is one that begins sentences.
_EITHER = _words(
    """
    inc corp co ltd plc llc cos bros assn intl mfg sa nv ag ab oy oyj asa spa jr sr esq phd etc
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
    ave blvd rd hwy est min max avg adj ala ariz ark calif colo conn fla ga ill kan ky md mich
    minn mo mont neb nev okla pa tenn tex va vt wis wyo mio mrd
    """
)
_STARTERS = _words(
    """
    a after all also although among an analysts and another any are as at because before both but
    by can despite did do does during each earlier even every few first following for from further
    given had has have he her here his how however i if in indeed instead is it its last later
    many meanwhile more moreover most my neither net no none nor not now of on once one only
    operating other others our over overall revenue sales several she shares since so some still
    such that the their then there these they this those though thus to today total under unlike
    until was we were what when where whether which while who why will with would yet you your
    """
)
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]$")
_CAMEL = re.compile(r"[a-z]{1,2}[A-Z]")  # iPhone, eBay: written small at a sentence's start too
_EXCLAIMED = frozenset({"yahoo!", "yum!", "jeopardy!"})  # names that end with a mark


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence begins and ends: ``text[start:end]``, white space around it left out.

    In order and apart; all of the text but white space lies in one of them. A blank line ends a
    sentence, a single line break does not. Empty for a text without anything but white space.
    """
    spans = []
    start = 0
    for stop in _ends(text):
        span = _trimmed(text, start, stop)
        if span[0] < span[1]:
            spans.append(span)
        start = stop
    last = _trimmed(text, start, len(text))
    return [*spans, last] if last[0] < last[1] else spans


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    lead = len(part) - len(part.lstrip())
    return min(start + lead, end), start + len(part.rstrip())


def _ends(text: str) -> Iterator[int]:
    """Positions that end a sentence, ascending."""
    start = 0
    for found in _STOP.finditer(text):
        if found["blank"] is not None or found["wide"] is not None:
            yield found.end()
        elif _is_end(text, start, found):
            yield found.start("gap")
        else:
            continue
        start = found.end()


def _is_end(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether the stop ``found`` ends the sentence that begins at ``start``."""
    if found["gap"].count("\n") > 1:  # a blank line
        return True
    following = text[found.end() : found.end() + 64].lstrip(_OPENERS + " ")
    word = _WORD.match(following)
    if following and following[0].islower() and not _CAMEL.match(following):
        return False
    if following[:1] in _INNER:
        return False
    before = _BEFORE.search(text, max(start, found.start("stop") - 64), found.start("stop"))
    if before is None:  # a stop apart from its word, as in tokenized texts
        return True
    token = before[0].lstrip(_OPENERS)
    if found["stop"] != ".":
        return (token + found["stop"]).lower() not in _EXCLAIMED
    if found["close"]:  # 'Inc.")': the stop of an abbreviation within
        return not _may_continue(token) or _starts(word)
    return _period_ends(text, start, found.start("stop"), token, following, word)


def _period_ends(
    text: str, start: int, stop: int, token: str, following: str, word: re.Match[str] | None
) -> bool:
    lower = token.lower()
    if lower in _LEADING:
        return False
    if lower in _NUMBERED and following[:1].isdigit():
        return False
    if token.isdigit() and not text[start : stop - len(token)].strip():
        return False  # "1. Introduction": the number of what follows
    return not _may_continue(token) or _starts(word)


def _may_continue(last: str) -> bool:
    """Whether a period after the word ``last`` may belong to that word alone."""
    initial = len(last) == 1 and last.isupper() and last != "I"
    tail = re.split(r"[/&(-]", last)[-1].lower()
    return initial or tail in _EITHER or _ACRONYM.match(last) is not None


def _starts(word: re.Match[str] | None) -> bool:
    return word is not None and word[0].lower().split("'")[0].split("’")[0] in _STARTERS
