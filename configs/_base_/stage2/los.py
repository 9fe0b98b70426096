# Stage 1's classifier, trained on with over-smoothed labels (LOS, ICLR 2025).
# Differs: the epoch is chosen on validation, not on test.
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='mmimbal.TunedClassifierClsHead',
    loss=dict(type='LabelSmoothLoss', label_smooth_val=0.98),
)
stage2 = dict(optim_wrapper=dict(optimizer=dict(lr=0.004, weight_decay=0.0)))
stage2_search = {
    'optim_wrapper.optimizer.lr': [5e-4, 0.004, 0.02],
    'model.head.loss.label_smooth_val': [0.9, 0.95, 0.98, 0.99],
}

by_name_only = True  # not one of --methods all, which the studies compare
