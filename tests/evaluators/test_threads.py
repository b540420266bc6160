from __future__ import annotations

import torch

from archwright.evaluators import prepare_worker


def test_threads_are_set_and_can_be_set_again():
    prepare_worker(1)
    prepare_worker(1)
    assert torch.get_num_threads() == 1
