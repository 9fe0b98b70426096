# Search for a recipe from ImageNet weights, on validation images of one fold.
_base_ = '../_base_/grids/pretrained.py'

title = 'Screening from ImageNet weights'
notes = (
    'Twelve rows on the validation images of fold 0 of ISIC 2018, one seed. The plan '
    'was to train the best three and their controls on RBC-12, too, and what leads '
    'with a second seed. Only what leads, its control and cross-entropy were trained '
    'there (screening_rbc12), with one seed. Rows with views had RandAugment for '
    'cross-entropy at first. '
    'It lost in the rows of plain cross-entropy, so it was taken out of the '
    'rows with views before they ran. The twelfth row was BCL with a falling weight. '
    'When BCL was below cross-entropy and class-centre above it, it was exchanged, '
    'before it ran, for class-centre and Mixup together. Last, and beside the twelve, '
    'the untouched features of the net were added (imagenet).'
)
judged_on = 'val'
folds = [0]
seeds = [0]
datasets = dict(_delete_=True, isic2018=dict())
methods = {name: dict(recipe, stage2='all') for name, recipe in _base_._recipes.items()}
