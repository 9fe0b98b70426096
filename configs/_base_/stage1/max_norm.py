# Weight balancing (arXiv:2203.14197) by a bound of the norm of class weights. The paper
# also raises the weight decay: --cfg-options optim_wrapper.optimizer.weight_decay=5e-3
head = dict(type='mmimbal.MaxNormClsHead', max_norm=1.0)
