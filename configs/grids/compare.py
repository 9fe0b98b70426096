# Does metric learning help on this data? For tools/compare.py, which names the data.
profile = 'pretrained'
datasets = dict(own=dict())
seeds = [0]
# Stage 2 starts from the last epoch in all rows, as the recipe says.
options = {'default_hooks.checkpoint.save_best': None}
plug_in = [('recommended', 'control'), ('recommended', 'ce')]
_pk = {'train_dataloader.drop_last': False}  # a batch sampler fills the last batch
methods = dict(
    ce=dict(stage1='ce', stage2='all'),
    recommended=dict(stage1='recommended', stage2='all', metric=True, options=_pk),
    # The same views and batches, without the metric loss.
    control=dict(
        stage1='recommended',
        stage2='all',
        options={**_pk, 'model.head.metric_weight': 0.0},
    ),
)
