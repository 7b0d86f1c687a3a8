"""The one training loop: history, resuming to the same bits, and a clear stop."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods import training
from anomaly_lib.methods.training import Task, train


class Interrupted(Exception):
    """Stands for a kill at a certain step."""


def make_task(steps=40, stop_at=None, identity="a", factor=1.0):
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=steps)
    draw = torch.Generator().manual_seed(1)

    def losses(step):
        if step == stop_at:
            raise Interrupted
        inputs = torch.randn(8, 3, generator=draw)
        return {"loss": factor * (module(inputs) - inputs[:, :2]).square().mean()}

    return Task(module, optimizer, losses, steps, identity, scheduler, {"draw": draw})


def test_the_loss_falls_and_the_history_tells(monkeypatch):
    monkeypatch.setattr(training, "HISTORY_ROWS", 10)
    history = train(make_task(), progress=False)
    assert [row["step"] for row in history] == list(range(4, 41, 4))
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert max(row["learning_rate"] for row in history) <= 0.05


def test_a_resumed_training_gives_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole = make_task()
    history = train(whole, progress=False)
    checkpoint = tmp_path / "training.pt"
    with pytest.raises(Interrupted):
        train(make_task(stop_at=23), checkpoint, progress=False)
    assert checkpoint.is_file()
    resumed = make_task()
    assert train(resumed, checkpoint, progress=False) == history
    assert all(torch.equal(a, b) for a, b in zip(whole.module.parameters(), resumed.module.parameters(), strict=True))
    assert not checkpoint.exists()


@pytest.mark.parametrize("damage", ["other identity", "torn file"])
def test_a_checkpoint_that_does_not_fit_is_not_resumed(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    checkpoint = tmp_path / "training.pt"
    with pytest.raises(Interrupted):
        train(make_task(stop_at=23), checkpoint, progress=False)
    if damage == "torn file":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-200])
    identity = "b" if damage == "other identity" else "a"
    assert train(make_task(identity=identity), checkpoint, progress=False) == train(make_task(), progress=False)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1e38])
def test_a_loss_or_gradient_that_is_not_finite_stops_with_its_step(factor):
    with pytest.raises(InputError, match=r"at step \d+; lower the learning rate"):
        train(make_task(factor=factor), progress=False)


def test_pictures_are_kept_in_order_and_do_not_change_the_training(tmp_path):
    plain, pictured = make_task(steps=12), make_task(steps=12)
    pictured.picture = lambda: torch.full((3, 4, 4), float(pictured.module.training))
    stale = tmp_path / "pictures/step-000999.png"
    stale.parent.mkdir()
    stale.write_bytes(b"of an older training")
    train(plain, progress=False)
    train(pictured, tmp_path / "training.pt", progress=False)
    files = sorted(file.name for file in (tmp_path / "pictures").iterdir())
    assert files == [f"step-{step:06d}.png" for step in (2, 4, 6, 8, 10, 12)]
    assert np.array(Image.open(tmp_path / "pictures" / files[0])).max() == 0  # drawn in evaluation mode
    assert all(torch.equal(a, b) for a, b in zip(plain.module.parameters(), pictured.module.parameters(), strict=True))
