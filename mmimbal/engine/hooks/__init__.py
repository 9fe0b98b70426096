from .channels_last_hook import ChannelsLastHook
from .class_counts_hook import ClassCountsHook
from .sync_buffers_hook import SyncBuffersHook
from .two_stage_hook import TwoStageHook
from .work_dir_hook import WorkDirHook
