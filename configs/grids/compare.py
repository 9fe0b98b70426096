# Does metric learning help on this data? For tools/compare.py, which names the data.
profile = 'pretrained'
datasets = dict(own=dict())
seeds = [0]
plug_in = [('recommended', 'control'), ('recommended', 'ce')]
methods = dict(
    ce=dict(stage1='ce', stage2='all'),
    recommended=dict(stage1='recommended', stage2='all', metric=True),
    # The same views and batches, without the metric loss.
    control=dict(
        stage1='recommended', stage2='all', options={'model.head.metric_weight': 0.0}
    ),
)
