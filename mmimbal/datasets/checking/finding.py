"""Something that a check has found."""

from collections.abc import Sequence
from dataclasses import dataclass

EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """Something that is wrong (``error``) or odd (``warning``).

    Attributes:
        level: ``'error'`` or ``'warning'``.
        what: What was found.
        count: How often.
        examples: The first few.
    """

    level: str
    what: str
    count: int
    examples: list[str]


def findings_of(level: str, what: str, found: Sequence[str]) -> list[Finding]:
    """Return a finding with its first examples; none if nothing was found."""
    if not len(found):
        return []
    return [Finding(level, what, len(found), [str(x) for x in found[:EXAMPLES]])]
