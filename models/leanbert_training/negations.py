"""Sentences of our own writing whose sentiment depends on a negation, for measuring only.

The model is trained on none of them. The patterns of :mod:`leanbert_training.templates` share some
of the constructions ("no longer", "did not"), but no sentence.
"""

from __future__ import annotations

POSITIVE = (
    "The retailer did not miss expectations this quarter.",
    "Harlow Industries didn't miss on a single line of its report.",
    "Profits show no sign of slowing.",
    "The bank sees no further credit losses this year.",
    "Sales have not fallen, as sceptics predicted: they hit a record.",
    "Nothing could stop the chipmaker's rally today.",
    "The airline is no longer losing money.",
    "The regulator will not fine the lender, lifting the shares.",
    "Margins never looked healthier at the grocer.",
    "The drug maker won't have to recall its best seller after all.",
    "There were no disappointments in the steelmaker's strong results.",
    "It was not a weak quarter: earnings climbed by a third.",
    "The company did not need to cut a single job, and orders are growing.",
    "No one expected such strong growth from the carmaker.",
    "The builder isn't struggling any more: bookings are up 40%.",
    "Without the strike, the miner would have earned less; instead it beat forecasts.",
    "Management has never been more confident about demand.",
    "The fund has not lost money in a single month and gained 12% this year.",
    "The insurer's loss was not as bad as feared, and the stock jumped.",
    "Debt is not a worry: the group repaid all of its loans early.",
)
NEGATIVE = (
    "The retailer did not meet expectations this quarter.",
    "Harlow Industries didn't deliver the growth it had promised.",
    "Profits show no sign of recovering.",
    "The bank sees no improvement in bad loans this year.",
    "Sales have not risen, as bulls predicted: they sank.",
    "Nothing could stop the chipmaker's slide today.",
    "The airline is no longer making money.",
    "The regulator will not approve the drug, hitting the shares.",
    "Margins never looked worse at the grocer.",
    "The software group won't reach its profit target.",
    "There was nothing good in the steelmaker's results.",
    "It was not a strong quarter: earnings shrank by a third.",
    "The company could not keep its customers, and orders are shrinking.",
    "No growth in sight for the struggling carmaker.",
    "The builder isn't selling enough homes to cover its costs.",
    "Without new funding the start-up will be bankrupt by May.",
    "Management has never been less confident about demand.",
    "The fund has not made money in a single month and lost 12% this year.",
    "The insurer's results were not as good as hoped, and the stock tumbled.",
    "The group was not able to repay its loans.",
)
NEUTRAL = (
    "The company has not decided where to build its next office.",
    "No date has been set for the shareholder meeting.",
    "Harlow Industries did not comment on the report.",
    "The terms of the agreement were not made public.",
    "The board has not named a successor yet.",
    "The figures do not include the subsidiary in Norway.",
    "The change does not affect the number of shares.",
    "The two firms are not related.",
    "The new rules do not apply to savings banks.",
    "The price of the deal was not mentioned.",
    "There is no change to the reporting calendar.",
    "The spokeswoman neither confirmed nor denied the talks.",
    "The exchange will not be open on Monday.",
    "The company does not publish quarterly reports.",
    "Nobody from the firm was available for an interview.",
    "The survey does not cover self-employed workers.",
    "The stake was not disclosed in earlier filings.",
    "Net sales were neither higher nor lower than a year ago.",
    "The meeting was not attended by the finance chief.",
    "The model will not be sold outside Europe.",
)


def sentences() -> list[tuple[str, int]]:
    """All sentences with their label: 0 positive, 1 negative, 2 neutral."""
    groups = (POSITIVE, NEGATIVE, NEUTRAL)
    return [(text, label) for label, group in enumerate(groups) for text in group]
