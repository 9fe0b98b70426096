from .class_balanced import ClassBalancedSampler
from .pk_batch import PKBatchSampler, get_sampler
from .views_batch import ViewsBatchSampler
