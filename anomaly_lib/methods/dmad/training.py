"""What one optimisation step of PPDM computes."""

from collections.abc import Callable

import torch
from torch import Tensor

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.dmad.features import LevelCache, Teacher
from anomaly_lib.methods.dmad.losses import cycle_loss, reconstruction_loss, smoothness_loss, strength_loss
from anomaly_lib.methods.dmad.network import PPDM, Pass
from anomaly_lib.methods.dmad.params import Params
from anomaly_lib.methods.dmad.quantise import health
from anomaly_lib.methods.dmad.warp import from_prototype
from anomaly_lib.methods.training import Task

BETAS = (0.5, 0.999)  # of AdamW; authors' code


def make_task(
    params: Params,
    networks: PPDM,
    teacher: Teacher,
    normals: Tensor,
    cache: LevelCache | None,
    identity: str,
    seed: int,
) -> Task:
    """The training of ``networks`` on normal images (N, 3, S, S).

    ``cache`` holds their levels; None where every step deforms.
    """
    batch = min(params.batch, len(normals))
    steps = params.steps_on(len(normals), batch)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in networks.parameters() if parameter.requires_grad],
        lr=params.learning_rate,
        betas=BETAS,
        weight_decay=params.weight_decay,
        fused=True,
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    draws = {name: generator(seed, "dmad", name) for name in ("batches", "revival")}
    device = teacher.backbone.mean.device

    def losses(step: int) -> dict[str, Tensor]:
        chosen = torch.randperm(len(normals), generator=draws["batches"])[:batch]
        images = teacher.backbone.normalise(normals[chosen].to(device))
        if params.deformation and step >= round(params.undeformed_share * steps):
            return step_losses(params, images, networks(images, _revived(params, networks, teacher, draws)), networks)
        levels = [level.to(device) for level in cache.get(chosen)]
        done = networks(images, _revived(params, networks, lambda images: levels, draws), deform=False)
        return step_losses(params, images, done, networks)

    return Task(networks, optimizer, losses, steps, identity, scheduler, draws, "DMAD training", batch)


def _revived(
    params: Params, networks: PPDM, teacher: Callable[[Tensor], list[Tensor]], draws: dict[str, torch.Generator]
) -> Callable[[Tensor], list[Tensor]]:
    """The teacher; where params ask for it, dead codes move to its features before the quantiser sees them."""
    if networks.quantiser is None or params.revive_after is None:
        return teacher

    def watched(images: Tensor) -> list[Tensor]:
        levels = teacher(images)
        networks.quantiser.revive(networks.space(levels)[-1].detach(), draws["revival"])
        return levels

    return watched


def step_losses(params: Params, images: Tensor, done: Pass, networks: PPDM) -> dict[str, Tensor]:
    """Named losses of one pass over normalised images; ``loss`` is the weighted sum, and the quantiser's health."""
    targets = [target.detach() for target in done.targets] if params.detach_targets else done.targets
    named = {"reconstruction": reconstruction_loss(targets, done.predictions, params.cosine)}
    total = named["reconstruction"]
    if done.fields:
        both = params.strength == "both"
        named["strength"] = strength_loss(done.fields, both, params.length_epsilon)
        named["smoothness"] = smoothness_loss(done.fields)
        named["cycle"] = cycle_loss(images, from_prototype(done.warped, done.fields))
        weights = (params.offset_weight, params.smoothness_weight, params.cycle_weight)
        for weight, name in zip(weights, ("strength", "smoothness", "cycle"), strict=True):
            total = total + weight * named[name]
    elif params.deformation:  # the same columns in all rows of the history
        named |= dict.fromkeys(("strength", "smoothness", "cycle"), torch.zeros(()))
    if networks.quantiser:
        named["quantisation"] = done.embedded.loss
        total = total + params.quantisation_weight * done.embedded.loss
        named |= health(done.embedded.codes, networks.quantiser.embedding.num_embeddings)
    return {"loss": total} | named
