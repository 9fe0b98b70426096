# A rebalancer from the start, backbone and all: what two stages are measured against.
_base_ = [
    '../_base_/datasets/isic2018_64px.py',
    '../_base_/models/resnet18_half.py',
    '../_base_/stage2/balanced_softmax.py',
    '../_base_/schedules/scratch_40e.py',
    '../_base_/runtime.py',
]

model = dict(head=dict(_base_.stage2_head, num_classes=_base_.num_classes))
train_dataloader = _base_.stage2.train_dataloader
work_dir = 'work_dirs/isic/{{ fileBasenameNoExtension }}'
