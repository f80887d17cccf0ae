"""How likely a measurement is if the prediction holds. Pure; exact, not approximated."""

from __future__ import annotations

import math
from collections.abc import Mapping


def chi_square(seen: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """The p-value of counts, if each falls to its key with this share (Pearson's test). 1 where
    there is nothing to tell; 0 if something was seen that has no share."""
    total = sum(seen.values())
    if any(count and not shares.get(name) for name, count in seen.items()):
        return 0.0
    expected = {name: share * total for name, share in shares.items() if share}
    if len(expected) < 2 or not total:
        return 1.0
    statistic = sum((seen.get(name, 0) - mean) ** 2 / mean for name, mean in expected.items())
    return _upper_tail(statistic, len(expected) - 1)


def _upper_tail(statistic: float, degrees: int) -> float:
    """How often chi-square exceeds a value: the closed forms for even and odd degrees."""
    half = statistic / 2
    if degrees % 2 == 0:
        terms = (half**n / math.factorial(n) for n in range(degrees // 2))
        return math.exp(-half) * math.fsum(terms)
    powers = (half ** (n - 0.5) / math.gamma(n + 0.5) for n in range(1, (degrees + 1) // 2))
    return math.erfc(math.sqrt(half)) + math.exp(-half) * math.fsum(powers)


def binomial(lost: int, sent: int, part: float) -> float:
    """The p-value of so many of all, each with this probability: of all counts that are no likelier
    (the exact test of both sides)."""
    if part in (0.0, 1.0):
        return float(lost == part * sent)
    likelihood = [_likelihood(n, sent, part) for n in range(sent + 1)]
    own = likelihood[lost] * (1 + 1e-9)
    return min(1.0, sum(each for each in likelihood if each <= own))


def losses(lost: int, sent: int, part: float, stray: float) -> float:
    """The p-value of so many lost of all where this part of them is predicted to be. None and all
    are judged only on the side where they can be wrong; stray: the part that may be by itself."""
    if part == 0:
        return _at_least(lost, sent, stray)
    if part == 1:
        return _at_least(sent - lost, sent, stray)
    return binomial(lost, sent, part)


def _at_least(count: int, of: int, part: float) -> float:
    """How often so many of all, or more, each with this probability."""
    return min(1.0, 1 - math.fsum(_likelihood(n, of, part) for n in range(count)))


def _likelihood(count: int, of: int, part: float) -> float:
    ways = math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
    return math.exp(ways + count * math.log(part) + (of - count) * math.log1p(-part))
