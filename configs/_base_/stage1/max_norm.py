# Weight balancing: bounded class weights, larger weight decay (arXiv:2203.14197).
# Differs: bounded in stage 1 too, so that any stage 2 can follow.
head = dict(type='mmimbal.MaxNormClsHead', max_norm=1.0)
stage1_optim_wrapper = dict(optimizer=dict(weight_decay=5e-3))
