"""What the origin of predictions says against taking them for results."""

from collections.abc import Mapping

TEST = 'test'


def doubts(about: Mapping[str, object]) -> list[str]:
    """Return sentences about images that a model may know.

    Args:
        about: ``about`` of predictions. Its ``split`` is the split of the images, and
            ``leak`` a sentence about images of training groups; both may be missing.
    """
    found = []
    split = about.get('split') or TEST
    if split != TEST:
        found.append(
            f'The images are of the split {split}: the model may have been trained or '
            'chosen on them, so the values may be too high.'
        )
    if about.get('leak'):
        found.append(f'{about["leak"]}.')
    return found
