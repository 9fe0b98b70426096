# As kcl.py, towards class targets that are spread evenly (TSC, arXiv:2111.13998).
_base_ = 'kcl.py'

head = dict(metric_loss=dict(_delete_=True, type='mmimbal.TargetedLoss', k=6))
