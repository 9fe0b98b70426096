# The recommended recipe: SupCon on views. Stage 2 starts from the last epoch: the best
# one may be early, before its features are learned (configs/grids/last_epoch.py).
_base_ = 'supcon_views.py'

stage1_checkpoint = dict(save_best=None)
