# De-confounded training and total direct effect (TDE, arXiv:2009.12991). The paper has
# alpha=1 to 3 for 100 classes or more; with few, it takes much from the common one.
# Differs: on frozen features, as all of stage 2; the mean direction is in the model, so
# that it is saved.
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='mmimbal.CausalClsHead', alpha=0.5)
stage2_search = {'model.head.alpha': [0.0, 0.25, 0.5, 1.0, 1.5, 3.0]}

by_name_only = True  # not one of --methods all, which the studies compare
