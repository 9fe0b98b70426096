# Digits-LT: 291 of scikit-learn's digits, 104 zeros down to 2 nines. No download.
num_classes = 10
only_with = 'digits'

images = dict(type='mmimbal.DigitsLT')
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
