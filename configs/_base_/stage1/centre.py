# Features are pulled to learned class centres (ECCV 2016).
# Differs: the optimizer moves the centres, so that a resumed run is exact.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_weight=0.01,
    metric_loss=dict(type='mmimbal.CentreLoss', centre_rate=50.0),
)
# Weight decay would pull the centres to 0.
_centres = {'metric_loss.centres': dict(decay_mult=0.0)}
stage1_optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_centres))
