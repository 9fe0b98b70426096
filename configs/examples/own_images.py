# Images of your own, as `tools/prepare_dataset.py csv` or `folders` leaves them: copy
# this, and set the number of classes. Their names are in the dataset.json beside them.
_base_ = '../dermamnist/stage1_triplet.py'

images = dict(data_root='{{$MMIMBAL_DATA:data}}/csv')
model = dict(head=dict(num_classes=3))
train_dataloader = dict(dataset=images)
val_dataloader = dict(dataset=images)
test_dataloader = dict(dataset=images)
work_dir = 'work_dirs/csv/{{ fileBasenameNoExtension }}'
