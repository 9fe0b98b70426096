# Is it the small net? ResNet-50 from scratch at 144 px, 100 epochs, for a GPU.
_base_ = 'study.py'

title = 'ResNet-50'
notes = (
    'ResNet-50 from scratch at 144 px, 100 epochs of ISIC 2018: what validation '
    'chooses in the study with and without metric learning, on one fold. One training '
    'each: intervals are of images, not of seeds.'
)
folds = [0]
profile = '144px_resnet50'
datasets = dict(_delete_=True, isic2018=dict())
options = {'train_dataloader.num_workers': 3}
methods = dict(
    _delete_=True,
    balanced_softmax=_base_.methods.balanced_softmax,
    bcl_balanced_weight1=_base_.methods.bcl_balanced_weight1,
)
