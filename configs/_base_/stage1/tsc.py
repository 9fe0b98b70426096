# As kcl, towards evenly spread class targets (TSC, arXiv:2111.13998).
# Differs: as kcl; targets move between classes at the start of an epoch.
_base_ = 'kcl.py'

head = dict(metric_loss=dict(_delete_=True, type='mmimbal.TargetedLoss', k=6))
