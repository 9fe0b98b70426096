"""What is fitted on calibration images: its classes, and its form as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from mmimbal.evaluation.metrics import check_probabilities, check_scores

TYPE = 'type'


class Fitted:
    """Base of frozen dataclasses that are fitted on calibration images.

    Attributes:
        classes: K class names, in the order of the columns of probabilities.
    """

    classes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return text, numbers and lists alone: for JSON, or a safe checkpoint."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {TYPE: type(self).__name__} | {k: _plain(v) for k, v in values.items()}

    @classmethod
    def from_dict(
        cls, content: Mapping[str, object], classes: Sequence[str] | None = None
    ) -> 'Fitted':
        """Return what :meth:`to_dict` has described.

        Args:
            content: Result of :meth:`to_dict`.
            classes: Class names of the model that it is meant for, if known.

        Raises:
            ValueError: If the content is of another type, incomplete, or made for
                other classes or another order of classes.
        """
        if content.get(TYPE) != cls.__name__:
            raise ValueError(f'expected a {cls.__name__}, got {content.get(TYPE)!r}')
        expected, given = {field.name for field in fields(cls)}, set(content) - {TYPE}
        if expected != given:
            raise ValueError(
                f'a stored {cls.__name__} has no {sorted(expected - given)} and the '
                f'unknown {sorted(given - expected)}: was it changed by hand?'
            )
        try:
            fitted = cls(**{name: _frozen(content[name]) for name in given})
        except TypeError as error:
            raise ValueError(f'a stored {cls.__name__} is damaged: {error}') from None
        if classes is not None:
            check_same_classes(fitted.classes, classes)
        return fitted

    def checked(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return new probabilities as float64, (N, K); N may be 0.

        Args:
            probabilities: Probabilities of new images, (N, K).
            classes: Their class names, if known.

        Raises:
            ValueError: If the classes are others or in another order, or a row is not
                finite or no probabilities.
        """
        if classes is not None:
            check_same_classes(self.classes, classes)
        probabilities = np.asarray(probabilities, float)
        if probabilities.shape != (0, len(self.classes)):
            check_scores(probabilities, len(probabilities), len(self.classes))
            check_probabilities(probabilities)
        return probabilities


def check_same_classes(fitted: Sequence[str], given: Sequence[str]) -> None:
    """Raise a ValueError if given classes are not the fitted ones, in their order."""
    fitted, given = list(fitted), list(given)
    if fitted == given:
        return
    if sorted(fitted) == sorted(given):
        reason = 'they have another order'
    else:
        missing = [name for name in fitted if name not in given]
        unknown = [name for name in given if name not in fitted]
        reason = f'missing: {missing}, unknown: {unknown}'
    raise ValueError(
        f'fitted for the classes {", ".join(fitted)}, but got {", ".join(given)} '
        f'({reason}). Fit again on calibration images of this model'
    )


def _plain(value: object) -> object:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
