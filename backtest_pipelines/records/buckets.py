"""The buckets that durations are counted in: twenty a decade, after the R20 series of preferred numbers (ISO 3).

A histogram of them is summed over any number of executions in the time of one, and a percentile read from it is off by
at most the width of a bucket, 13 percent. The series holds 1, 2.5 and 5 of each decade, where other histograms are cut.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

_STEPS: Final = (
    *(1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8),
    *(3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0),
)
PER_DECADE: Final = len(_STEPS)
FIRST_DECADE: Final = -2
"""The power of ten, in ms, that the first bucket ends with and the next twenty begin at."""
_DECADES: Final = range(FIRST_DECADE, 7)
LIMITS_MS: Final = tuple(float(f"{step}e{decade}") for decade in _DECADES for step in _STEPS)
"""Upper limits of the buckets, included, in ms: 0.01 ms to 2.5 h. What is longer is in a bucket beyond the last."""
COUNT: Final = len(LIMITS_MS) + 1


def bucket(duration_ms: float) -> int:
    """Return the number of the bucket of a duration, 0 to `COUNT` - 1."""
    return bisect_left(LIMITS_MS, duration_ms)


def percentile_ms(counts: Mapping[int, int], share: float, least_ms: float, most_ms: float) -> float:
    """Return a percentile of the durations that were counted, in ms.

    Within its bucket it is interpolated; it is never outside the least and the most that were seen.

    Parameters
    ----------
    counts : Mapping of int to int
        Executions by bucket, at least one in all.
    share : float
        0 to 1; 0.95 for the 95th percentile.
    least_ms, most_ms : float
        The shortest and the longest duration of all.
    """
    rank = share * sum(counts.values())
    passed = 0
    for number in sorted(counts):
        if passed + counts[number] >= rank:
            lower_ms = LIMITS_MS[number - 1] if number else 0.0
            upper_ms = LIMITS_MS[number] if number < len(LIMITS_MS) else most_ms
            within = (rank - passed) / counts[number]
            return min(max(lower_ms + within * (upper_ms - lower_ms), least_ms), most_ms)
        passed += counts[number]
    return most_ms
