import warnings

import pytest
from mmengine.fileio import FileClient
from mmengine.logging import MMLogger

from mmimbal.command_line.quiet import without_upstream_noise


def test_what_nobody_can_act_on_is_left_out_and_all_else_is_not(messages):
    logger, plain = MMLogger.get_current_instance(), MMLogger.callHandlers
    with pytest.raises(KeyError), without_upstream_noise():
        FileClient(backend='disk')
        logger.info('Using env variable `MMIMBAL_DATA` with value of data')
        logger.info('Using env variable `HOME` with value of x')
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn(
                'Fail to import ``MultiScaleDeformableAttention`` from x', stacklevel=1
            )
            warnings.warn('heard', stacklevel=1)
        raise KeyError
    assert messages == ['Using env variable `HOME` with value of x']
    assert [str(warning.message) for warning in caught] == ['heard']
    assert MMLogger.callHandlers is plain
    FileClient(backend='disk')
    assert any('FileClient' in message for message in messages)
