from .cached_features_loop import CachedFeaturesTrainLoop, FitLoop
