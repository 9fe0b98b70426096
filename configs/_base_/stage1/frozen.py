# No stage 1: a linear classifier on features that stay as they were initialized, for
# example those of ImageNet. One epoch is enough for the ways of stage 2 that follow.
head = dict(type='LinearClsHead')
custom_hooks = [dict(type='mmimbal.FrozenBackboneHook')]
