"""Named generators: independent of each other, and the same everywhere."""

import torch

from anomaly_lib.base.reproducibility import derived_seed, generator, make_deterministic, provenance


def test_a_purpose_has_its_own_stream():
    first, again, other = (torch.rand(4, generator=generator(0, *p)) for p in (("a", "b"), ("a", "b"), ("a", "c")))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert derived_seed(0, "init") != derived_seed(1, "init")


def test_seeds_are_the_same_on_every_machine():
    assert derived_seed(0, "split") == 3769940940748469125


def test_threads_are_pinned_and_no_version_is_unknown():
    make_deterministic(1)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert all(provenance().values())
