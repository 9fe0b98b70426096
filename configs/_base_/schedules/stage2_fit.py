# Computes a head from the features of all training images, without training.
stage2_epochs = 1
stage2_train_cfg = dict(_delete_=True, type='mmimbal.FitLoop')
stage2 = dict(train_dataloader=dict(), optim_wrapper=dict(), param_scheduler=None)
stage2_search = dict()
