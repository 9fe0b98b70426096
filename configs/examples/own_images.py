# Images of your own, as `tools/prepare_dataset.py csv --src SRC --out data/own` leaves
# them, or `folders` in place of `csv`: copy this, and set the number of classes. Their
# names are in the dataset.json beside them.
_base_ = [
    '../_base_/datasets/dermamnist_224px.py',  # names no classes
    '../_base_/models/resnet50.py',
    '../_base_/stage1/triplet.py',
    '../_base_/schedules/finetune_60e.py',
    '../_base_/runtime.py',
]

images = dict(data_root='{{$MMIMBAL_DATA:data}}/own')
model = dict(head=dict(_base_.head, num_classes=3))
train_dataloader = dict(dataset=images)
val_dataloader = dict(dataset=images)
test_dataloader = dict(dataset=images)
work_dir = 'work_dirs/own/{{ fileBasenameNoExtension }}'
