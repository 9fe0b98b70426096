"""One finding of a dataset check."""

from collections.abc import Sequence
from dataclasses import dataclass

EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """A problem (``error``) or something unusual (``warning``).

    Attributes:
        level: ``'error'`` or ``'warning'``.
        what: Description of the finding.
        count: Number of cases.
        examples: All cases; a table shows the first :data:`EXAMPLES`.
    """

    level: str
    what: str
    count: int
    examples: list[str]


def findings_of(level: str, what: str, cases: Sequence[str]) -> list[Finding]:
    """Return one finding with its cases, or none without a case."""
    if not len(cases):
        return []
    return [Finding(level, what, len(cases), [str(x) for x in cases])]
