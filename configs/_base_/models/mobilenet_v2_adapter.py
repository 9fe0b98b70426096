# MobileNetV2 with ImageNet weights that stay, and an adapter (arXiv:2110.04544).
_base_ = 'mobilenet_v2.py'
model = dict(neck=dict(_delete_=True, type='mmimbal.AdapterNeck', in_channels=1280))
