"""Run by several processes: prints the losses of both ways to share a model, as JSON.

One start and one group for both, because most of the time is that of importing PyTorch in every
process, and processes that torchrun started cannot make a group twice.
"""

import json
import sys
from dataclasses import replace

import torch

from snippets.training.distributed import SMALL, joined, losses_in_group

if __name__ == "__main__":
    torch.set_num_threads(1)
    steps, batches = map(int, sys.argv[1:])
    config = replace(SMALL, steps=steps)
    with joined() as (rank, processes):
        found = {
            way: losses_in_group(config, way, batches, "cpu", rank, processes)
            for way in ("ddp", "fsdp")
        }
    if rank == 0:
        print(json.dumps(found))
