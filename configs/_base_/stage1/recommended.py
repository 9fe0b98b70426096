# The recommended recipe: SupCon on views of its own, stage 2 from the last epoch. The
# best epoch is too early for it (configs/grids/last_epoch.py).
_base_ = 'supcon_views.py'

stage1_checkpoint = dict(save_best=None)
