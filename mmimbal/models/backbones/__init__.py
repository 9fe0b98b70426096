from .efficientnet_lite import EfficientNetLite
from .package_weights import PackageWeights
