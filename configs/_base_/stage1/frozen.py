# No training: features stay as they were initialized. One epoch is enough for the ways
# of stage 2 that follow.
head = dict(type='LinearClsHead')
custom_hooks = [dict(type='mmimbal.FrozenBackboneHook')]
