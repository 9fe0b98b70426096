from .collate import stack_images
from .crop_at import CropAt
from .csv_dataset import CSVDataset
from .digits_lt import DigitsLT
from .labels_and_groups import (
    get_class_counts,
    get_class_names,
    get_files,
    get_groups,
    get_labels,
    read_through_wrappers,
)
from .long_tail import LongTailDataset
from .samplers import (
    ClassBalancedSampler,
    PKBatchSampler,
    ViewsBatchSampler,
    get_sampler,
)
from .views import ViewsByLoss
