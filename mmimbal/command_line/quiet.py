"""Hide messages of other packages that do not help users of the tools."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger

MESSAGES = (
    'Fail to import ``MultiScaleDeformableAttention``',  # mmcv-lite
    '"FileClient" will be deprecated',  # mmengine's own use of it
    '"HardDiskBackend" is the alias',
    'Using env variable `MMIMBAL_DATA`',  # once for each base of a config
)


@contextmanager
def without_upstream_noise() -> Iterator[None]:
    """Hide the warnings and log lines of :data:`MESSAGES`, in a block."""
    noise = re.compile('|'.join(map(re.escape, MESSAGES)))
    call_handlers = MMLogger.callHandlers

    def call_handlers_unless_noise(self: MMLogger, record) -> None:
        if not noise.match(str(record.msg)):
            call_handlers(self, record)

    with warnings.catch_warnings():
        for message in MESSAGES:
            warnings.filterwarnings('ignore', re.escape(message))
        MMLogger.callHandlers = call_handlers_unless_noise
        try:
            yield
        finally:
            MMLogger.callHandlers = call_handlers
