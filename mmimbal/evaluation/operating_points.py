"""What a threshold of one class against the rest does on test images."""

import numpy as np

from mmimbal.evaluation.confusion import divide


def operating_point(
    said: np.ndarray, present: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return sensitivity, specificity and precision, (B,) each, in 0..1.

    They are NaN where there is no image to measure them on.

    Args:
        said: Whether the class is said to be present in each image, (N,), bool.
        present: Whether it is, (N,), bool.
        weights: How often each image counts, (B, N).
    """
    found = weights @ (said & present)
    return dict(
        sensitivity=divide(found, weights @ present),
        specificity=divide(weights @ ~(said | present), weights @ ~present),
        precision=divide(found, weights @ said),
    )
