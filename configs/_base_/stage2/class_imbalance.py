# Weights by class frequency and predicted probability (Yue et al., IEEE TIM 2023).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='LinearClsHead', loss=dict(type='mmimbal.ClassImbalanceLoss'))
