"""Records how the model of `docs/model/transformer.md` learns to copy: `data/copier.json`.

The page's own blocks are run, up to the one that chooses the example, and after some of the steps
the weights are kept. With each of them the model then writes the copy of the example as the page
lets it write; what it writes and what its cross-attention reads for every token are kept. `make
generated` writes the record anew when the program of the page, or this module, has changed.
"""

import copy
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from docs.program import program_text
from tests import ROOT
from tests.runner.pages import Block, read_blocks
from tests.runner.program import Program

PAGE = ROOT / "docs/model/transformer.md"
RECORD = Path(__file__).parent / "data" / "copier.json"
STEPS = list(range(0, 301, 15))  # after which the weights are kept
LAST = "example"  # what the last block that is run gives a value


def blocks() -> list[Block]:
    """The blocks of the page, as far as they are run."""
    found = read_blocks(PAGE, ROOT)
    last = next(i for i, block in enumerate(found) if f"\n{LAST} = " in f"\n{block.code}")
    return found[: last + 1]


def digest() -> str:
    """What the record is made from: the page's blocks, and this module."""
    made_from = program_text([block.code for block in blocks()]) + Path(__file__).read_text("utf-8")
    return hashlib.sha256(made_from.encode()).hexdigest()


@contextmanager
def keeping(steps: list[int]) -> Iterator[dict[int, list[Tensor]]]:
    """Keep the parameters of whatever is trained within, as they are after so many steps."""
    kept: dict[int, list[Tensor]] = {}
    taken = 0

    def keep(optimizer: torch.optim.Optimizer) -> None:
        if taken in steps and taken not in kept:
            parameters = (one for group in optimizer.param_groups for one in group["params"])
            kept[taken] = [one.detach().clone() for one in parameters]

    def before(optimizer: torch.optim.Optimizer, *_: object) -> None:
        keep(optimizer)

    def after(optimizer: torch.optim.Optimizer, *_: object) -> None:
        nonlocal taken
        taken += 1
        keep(optimizer)

    hooks = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def recorded() -> str:
    """The text of the record, from a run of the page's training, which takes a minute at most."""
    program = Program(ROOT, blocks())
    try:
        with keeping(STEPS) as kept:
            for block in program.blocks:
                program.execute(block)
        moments = [moment(program.namespace, step, kept[step]) for step in STEPS]
        facts = {
            "program": digest(),
            "source": [token_name(token) for token in program.namespace[LAST][0].tolist()],
            "losses": [float(f"{loss:.3g}") for loss in program.namespace["losses"]],
            "moments": moments,
        }
    finally:
        program.close()
    lines = (f"{json.dumps(key)}:{lines_of(value)}" for key, value in facts.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def moment(page: dict[str, Any], step: int, weights: list[Tensor]) -> dict[str, Any]:
    """What the model writes after so many steps, up to the end token, and what it reads for it.

    Args:
        page: The names of the page's program.
        step: Number of steps that it has been trained for.
        weights: Its parameters after them.

    Returns:
        `written`, the tokens; `probability`, of each; `attention`, the weights of cross-attention
        in thousandths, by layer, head, token written and token of the source.
    """
    model, src = copy.deepcopy(page["model"]), page[LAST]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), weights, strict=True):
            parameter.copy_(value)
        written = page["write"](model, src)  # (1, n_src)
        tgt = page["shift_right"](written)  # what it reads while it writes
        logits = model(src, tgt, *page["masks"](src, tgt))  # (1, n_tgt, V)
        attention = page["cross_weights"](model, src, tgt)  # a layer: (1, n_heads, n_tgt, n_src)
    ends = (written[0] == page["EOS"]).nonzero()
    n = ends[0].item() + 1 if len(ends) else written.shape[1]
    chosen = logits.softmax(-1)[0].gather(-1, written[0, :, None])[:, 0]  # (n_tgt,)
    return {
        "step": step,
        "written": [token_name(token) for token in written[0, :n].tolist()],
        "probability": [round(one, 3) for one in chosen[:n].tolist()],
        "attention": [(1000 * layer[0, :, :n]).round().int().tolist() for layer in attention],
    }


def token_name(token: int) -> str:
    """A digit, or S for the start and E for the end; the page's tokens 3 to 12 are the digits."""
    return {0: "P", 1: "S", 2: "E"}.get(token) or str(token - 3)


def lines_of(value: Any) -> str:
    """JSON, a moment a line, so that a difference can be read."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "\n]"
    return json.dumps(value, separators=(",", ":"))


def facts() -> dict[str, Any]:
    return json.loads(RECORD.read_text(encoding="utf-8"))
