# Digits-LT: 291 training images of scikit-learn's digits, from 104 of digit 0 to 2 of
# digit 9. No download.
num_classes = 10
only_with = 'digits'

images = dict(type='mmimbal.DigitsLT')
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
