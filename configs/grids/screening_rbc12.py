# The best rows of the search from ImageNet weights, and their controls, on RBC-12.
_base_ = 'tuning_pretrained.py'

title = 'The best rows and their controls on RBC-12'
notes = 'Validation images of fold 0 of RBC-12, one seed, eight ways of stage 2.'
seeds = [0]
datasets = dict(
    _delete_=True,
    rbc12=dict(options={'train_cfg.max_epochs': 5, 'param_scheduler.1.T_max': 5}),
)
methods = {
    '_delete_': True,
    **{name: dict(row, stage2=_base_._stage2) for name, row in _base_._rows.items()},
}
