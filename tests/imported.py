"""What runs and tools need, imported once instead of in each fork of this process."""

# ruff: noqa: F401

import gc

import matplotlib.backends.backend_agg
import matplotlib.pyplot
import torch.utils.cpp_extension  # mmengine looks there for a compiler
from mmpretrain.utils import register_all_modules

import mmimbal.datasets
import mmimbal.engine.hooks
import mmimbal.engine.loops
import mmimbal.evaluation
import mmimbal.models
import mmimbal.stage2.sweep

register_all_modules(init_default_scope=False)
# mmengine collects garbage for each dataset: these modules need not be looked through.
gc.collect()
gc.freeze()
