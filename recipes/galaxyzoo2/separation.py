"""How well a number tells one sample from another."""

import numpy as np
from scipy.stats import mannwhitneyu


def area(
    usual: np.ndarray, far: np.ndarray, rng: np.random.Generator, n: int = 500
) -> tuple[float, float]:
    """Probability that one of ``far`` is farther than one of ``usual``, and its error."""

    def once(a: np.ndarray, b: np.ndarray) -> float:
        return float(mannwhitneyu(b, a, method="asymptotic").statistic) / (len(a) * len(b))

    again = [once(rng.choice(usual, len(usual)), rng.choice(far, len(far))) for _ in range(n)]
    return once(usual, far), float(np.std(again))
