"""archwright: neural architecture search from a data set and a budget to a verified network."""

__version__ = "0.1.0"
