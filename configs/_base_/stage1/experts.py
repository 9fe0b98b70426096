# Experts for common, all and rare classes (arXiv:2107.09249, arXiv:2206.05260).
head = dict(type='mmimbal.ExpertsClsHead', taus=[0.0, 1.0, 2.0])
