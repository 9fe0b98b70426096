from .imbalance_metric import ImbalanceMetric
