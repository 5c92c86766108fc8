"""Times and weighs banded attention against masked attention and FlexAttention: `make bench`.

Writes `docs/assets/data/restricted.json` and `restricted.txt`, the table that
`docs/why-attention/restricted.md` embeds. FlexAttention is compiled, which needs a C++ compiler.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from benchmarks.record import machine, medians, publish, table, versions
from snippets.attention import scaled_dot_product_attention
from snippets.restricted import banded_attention
from snippets.seconds_and_bytes import peak_memory

SEED, THREADS, REPEATS, REPEATS_SLOW = 0, 2, 25, 3
N, R, N_HEADS, D_K = 8192, 64, 8, 64


def runs(query: Tensor, key: Tensor, value: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Every way to compute the same output; masks are made beforehand."""
    position = torch.arange(N)
    near = (position.unsqueeze(1) - position).abs() <= R  # True where attention is allowed
    compiled = torch.compile(flex_attention)

    def flex(size: int) -> Callable[[], Tensor]:
        blocks = create_block_mask(
            lambda _, head, i, j: (i - j).abs() <= R, None, None, N, N, "cpu", BLOCK_SIZE=size
        )
        return lambda: compiled(query, key, value, block_mask=blocks)

    def fused() -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=near)

    return {
        "`scaled_dot_product_attention` of this site, masked": (
            lambda: scaled_dot_product_attention(query, key, value, near)[0]
        ),
        "PyTorch's fused kernel, masked": fused,
        **{f"FlexAttention, compiled, blocks of {size}": flex(size) for size in (128, 64, 32)},
        f"`banded_attention`, blocks of {R}": lambda: banded_attention(query, key, value, R),
    }


def main() -> None:
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    shape = (1, N, N_HEADS, D_K)  # as split_heads leaves them
    query, key, value = (torch.randn(shape).transpose(1, 2) for _ in range(3))
    with torch.no_grad():
        ways = runs(query, key, value)
        fast = {name: run for name, run in ways.items() if "masked" not in name}
        slow = {name: run for name, run in ways.items() if "masked" in name}
        expected = ways["PyTorch's fused kernel, masked"]()
        for run in ways.values():
            torch.testing.assert_close(run(), expected, rtol=0, atol=1e-5)
        seconds = medians(slow, REPEATS_SLOW) | medians(fast, REPEATS)
        # What compiled code takes is its own business: only the others can be weighed.
        weighed = {name: peak_memory(run) for name, run in ways.items() if "Flex" not in name}
    results = {n: {"seconds": seconds[n], "bytes": weighed.get(n)} for n in ways}
    facts = {
        "command": "make bench",
        "machine": machine(THREADS),
        "versions": versions(),
        "seed": SEED,
        "sizes": {"n": N, "r": R, "n_heads": N_HEADS, "d_k": D_K},
        "repeats": [REPEATS, REPEATS_SLOW],
        "results": results,
    }
    publish("restricted", facts, TABLES)
    print(report(facts))


def report(facts: dict) -> str:
    """The results as a Markdown table with the line that says where they come from."""
    results, sizes = facts["results"], facts["sizes"]
    banded = results[f"`banded_attention`, blocks of {sizes['r']}"]
    rows = [["", "time", "times banded", "memory", "times banded"]]
    for name, result in results.items():
        weighed = result["bytes"] is not None
        rows.append(
            [
                name,
                f"{1000 * result['seconds']:.0f} ms",
                f"{result['seconds'] / banded['seconds']:.1f}",
                f"{result['bytes'] / 2**20:.0f} MiB" if weighed else "not weighed",
                f"{result['bytes'] / banded['bytes']:.1f}" if weighed else "",
            ]
        )
    fast, slow = facts["repeats"]
    return (
        f"{table(rows)}\nAttention without projections, n = {sizes['n']}, r = {sizes['r']}, "
        f"{sizes['n_heads']} heads of {sizes['d_k']}, float32; medians of {fast} runs in turns "
        f"({slow} where there is a mask), {facts['machine']}, "
        f"PyTorch {facts['versions']['torch']}, seed {facts['seed']}. "
        f"Repeat it with `{facts['command']}`.\n"
    )


TABLES = {"restricted": report}


if __name__ == "__main__":
    main()
