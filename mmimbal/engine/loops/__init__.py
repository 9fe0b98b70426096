from .adapter_loop import AdapterTrainLoop
from .cached_features_loop import CachedFeaturesTrainLoop
from .fit_loop import FitLoop
