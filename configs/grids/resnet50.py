# Is the result due to the small net? ResNet-50 from scratch at 144 px, for a GPU.
_base_ = 'study.py'

title = 'ResNet-50'
notes = (
    'ResNet-50 from scratch at 144 px, 100 epochs on ISIC 2018, one fold. The methods '
    'are the two that were chosen on validation in the study, with and without metric '
    'learning. Each is trained once: the intervals do not include the variation '
    'between seeds.'
)
plug_in = []
folds = [0]
profile = '144px_resnet50'
datasets = dict(_delete_=True, isic2018=dict())
options = {'train_dataloader.num_workers': 3}
methods = dict(
    _delete_=True,
    balanced_softmax=_base_.methods.balanced_softmax,
    bcl_balanced_weight1=_base_.methods.bcl_balanced_weight1,
)
