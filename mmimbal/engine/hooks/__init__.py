from .channels_last_hook import ChannelsLastHook
from .class_counts_hook import ClassCountsHook
from .difficulty_sampling_hook import DifficultySamplingHook
from .drawn_classes_hook import DrawnClassesHook
from .set_epoch_hook import SetEpochHook
from .sync_buffers_hook import SyncBuffersHook
from .two_stage_hook import TwoStageHook
from .work_dir_hook import WorkDirHook
