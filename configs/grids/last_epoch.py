# The rows of screening_pretrained again, with stage 2 from the last epoch of stage 1.
_base_ = '../_base_/grids/pretrained.py'

title = 'Stage 2 from the last epoch, from ImageNet weights'
notes = (
    'Validation images of fold 0 of ISIC 2018, one seed. The trainings are those of '
    'the screening. There stage 2 starts from the epoch with the best balanced '
    'accuracy of the classifier of stage 1, which may be early. Two rows have a lower '
    'learning rate; imagenet are the untouched features of the net.'
)
judged_on = 'val'
folds = [0]
seeds = [0]
datasets = dict(_delete_=True, isic2018=dict())
options = {'default_hooks.checkpoint.save_best': None}

_rows = {
    name: _base_._recipes[name]
    for name in _base_._recipes
    if not name.startswith('randaugment')
}
_lr_01 = {
    f'{name}_lr_01': {
        **_rows[name],
        'options': {
            **_rows[name].get('options', {}),
            'optim_wrapper.optimizer.lr': 0.01,
        },
    }
    for name in ('ce', 'supcon_views')
}
methods = {name: dict(row, stage2='all') for name, row in {**_rows, **_lr_01}.items()}
