# ---
# jupyter:
#   description: Measures how softmax saturates when attention scores are not divided by the square root of d_k, in entropy, largest weight and gradients, against d_k from 1 to 1024.
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Saturation of softmax { #saturation }
#
# This lab measures what the division by $\sqrt{d_k}$ does at initialisation: how the attention
# weights and the gradients change as $d_k$ grows, with the division and without it. The theory is
# in [the derivation](../derivations/scale.md).
#
# /// know
# [Scaled dot-product attention](../model/attention.md), which this lab runs with the division and
# without it, and what a gradient is.
# ///
#
# /// learn
# - How fast softmax saturates where scores are not divided, and what that means in numbers.
# - Which gradient vanishes then, for which queries, and which gradient grows.
# - From which width on it matters.
# ///

# %% [markdown]
# ## The result { #result }
#
# /// output | result
# ///
#
# The notes say: without the division the first attention is close to one-hot, and so the gradient
# vanishes.
#
# - **Confirmed.** The weights without the scale approach one-hot. At $d_k = 64$ the largest of 64
#   weights is 0.8 on average. With the scale, entropy, largest weight and gradients do not depend
#   on $d_k$, but for the few smallest widths.
# - **Corrected: which gradient.** The gradient that goes through softmax, to queries and keys, is
#   the one in danger. The values' gradient grows.
# - **Corrected: for whom, and when.** It is the typical query's gradient that vanishes, and only at
#   widths of several hundred does a typical query receive less than with the scale. At $d_k = 64$
#   it receives more, and unevenly: a fifth of the rows of scores get almost nothing, and others
#   make up for it. Averaged over all queries, what reaches the query does not fall at all.
# - **Not measured.** This is the state before the first step of training, with normal components
#   that are independent and of variance 1. Whether and how fast a model recovers is another
#   question; the paper itself only *suspects* small gradients (section 3.2.1).

# %% [markdown]
# ## What is measured { #what-is-measured }
#
# One query meets $n = 64$ keys. All components of queries, keys and values are independent, normal,
# of mean 0 and variance 1, so a score $q \cdot k$ has the standard deviation $\sqrt{d_k}$. For each
# $d_k$ the same 100 queries, each with keys of its own, are used twice: once as in equation (1) of
# the paper, and once with the division undone.
#
# - The **entropy** of the weights, $-\sum_j w_j \ln w_j$: $\ln 64 \approx 4.16$ when all keys weigh
#   alike, 0 when one key has everything.
# - The **largest weight**: $1/64 \approx 0.016$ when all weigh alike, 1 when one key has
#   everything.
# - The **norm of the gradient** of a loss with respect to the input of softmax, the query, the keys
#   and the values. The gradient that comes from above is random, and scaled so that what arrives at
#   each weight has mean 0 and variance 1. What arrives at the input of softmax is then its Jacobian
#   times such a vector.
#
# Everything is repeated with the seeds 0 to 11. In the plots a point is the mean over the 12 seeds,
# and a bar reaches from the lowest seed to the highest.

# %%
# %config InlineBackend.figure_formats = ["svg"]

# %%
import math

import torch
from torch import Tensor

from snippets.softmax import softmax
from snippets.attention import check_attention, scaled_dot_product_attention

# %% [markdown]
# The gradient at the input of softmax follows from the one at the weights by the
# [Jacobian of softmax](../derivations/softmax.md); PyTorch computes the others. A query whose
# gradient there is below 0.01 counts as *starved*: with the scale a typical one is 0.16.

# %%
N_KEYS = 64
N_QUERIES = 100
D_V = 64


def gradients(query: Tensor, key: Tensor, value: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """One pass forward and one back; per query, the weights and the norms of the gradients.

    Args:
        query: (n_queries, 1, d_k).
        key: (n_queries, n_keys, d_k).
        value: (n_queries, n_keys, d_v).
        upstream: Gradient of the loss with respect to the output (n_queries, 1, d_v).
    """
    inputs = [tensor.detach().requires_grad_() for tensor in (query, key, value)]
    output, weights = scaled_dot_product_attention(*inputs)
    grads = torch.autograd.grad(output, inputs, upstream)
    weights = weights.detach()[:, 0]  # (n_queries, n_keys)
    at_weights = (value @ upstream.transpose(1, 2))[..., 0]  # (n_queries, n_keys)
    at_scores = weights * (at_weights - (weights * at_weights).sum(-1, keepdim=True))
    named = zip(("scores", "query", "key", "value"), (at_scores, *grads), strict=True)
    return {"weights": weights} | {name: grad.flatten(1).norm(dim=1) for name, grad in named}


def measure(d_k: int, seed: int) -> dict[bool, dict[str, float]]:
    """The statistics of one seed, with the scale (True) and without it (False)."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    query, key = normal(N_QUERIES, 1, d_k), normal(N_QUERIES, N_KEYS, d_k)
    value = normal(N_QUERIES, N_KEYS, D_V)
    upstream = normal(N_QUERIES, 1, D_V) / math.sqrt(D_V)
    statistics = {}
    for scaled in (True, False):
        # Softmax sees factor * q·k / √d_k, and the gradient passes through the factor.
        factor = 1.0 if scaled else math.sqrt(d_k)
        found = gradients(factor * query, key, value, upstream)
        statistics[scaled] = {
            "entropy": torch.special.entr(found["weights"]).sum(-1).mean().item(),
            "largest weight": found["weights"].amax(-1).mean().item(),
            "scores, median": found["scores"].median().item(),
            "scores, mean": found["scores"].mean().item(),
            "starved": (found["scores"] < 0.01).double().mean().item(),
            "query, median": factor * found["query"].median().item(),
            "query, mean": factor * found["query"].mean().item(),
            "keys, median": found["key"].median().item(),
            "values, median": found["value"].median().item(),
        }
    return statistics


# %%
WIDTHS = [2**exponent for exponent in range(11)]  # 1 to 1024
SEEDS = range(12)

torch.set_num_threads(1)
measured = {d_k: [measure(d_k, seed) for seed in SEEDS] for d_k in WIDTHS}


def over_seeds(d_k: int, scaled: bool, name: str) -> Tensor:
    """One statistic for every seed."""
    return torch.tensor([statistics[scaled][name] for statistics in measured[d_k]])


print(len(WIDTHS), "widths,", len(SEEDS), "seeds,", N_QUERIES, "queries each")

# %% [markdown]
# ## The weights { #weights }
#
# The next cell sets how the plots look.

# %% builds="How the plots look"
import matplotlib.pyplot as plt

from snippets.plots import plot_style

# %%
plot_style("saturation")


def draw(axes: plt.Axes, scaled: bool, name: str, label: str, **style: str) -> None:
    """One line with bars from the lowest seed to the highest."""
    values = torch.stack([over_seeds(d_k, scaled, name) for d_k in WIDTHS])  # (n_widths, n_seeds)
    mean = values.mean(1)
    bars = [(mean - values.amin(1)).tolist(), (values.amax(1) - mean).tolist()]
    axes.errorbar(WIDTHS, mean.tolist(), bars, label=label, capsize=2, markersize=5, **style)


def finish(axes: plt.Axes, y_label: str, **legend: object) -> None:
    """Name the axes and the lines."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(WIDTHS[::2], [str(d_k) for d_k in WIDTHS[::2]])
    axes.set_xlabel("d_k")
    axes.set_ylabel(y_label)
    axes.legend(**legend)
    plt.tight_layout()
    plt.show()


WITH = {"color": "C0", "marker": "o", "linestyle": "-"}
WITHOUT = {"color": "C1", "marker": "s", "linestyle": "--"}

# %% [markdown]
# **Prediction.** With the scale the scores have variance 1, whatever $d_k$ is. For many keys and
# normal scores of variance $\sigma^2 = 1$, the entropy is $\ln n - \sigma^2/2 \approx 3.66$, half a
# nat below uniform weights; for 64 keys a little more. Without the scale $\sigma^2 = d_k$, and a
# few keys hold almost all the weight once $d_k$ is past $2 \ln n \approx 8.3$
# ([the derivation](../derivations/scale.md#how-wide-is-too-wide)).
#
# **Look for** the flat line, just above 3.66, and for how early the other one falls: at $d_k = 64$,
# the width of a head in the paper's base model, entropy 0.57 is left. That is as much as
# $e^{0.57} \approx 1.8$ keys of equal weight.

# %% caption="Entropy of the weights against d_k. With the scale it stays at 3.7 of at most 4.16; without, it falls to 0.6 at d_k = 64 and 0.14 at d_k = 1024."
figure, axes = plt.subplots()
axes.axhline(math.log(N_KEYS), color="black", linestyle=":", linewidth=1)
axes.text(1024, math.log(N_KEYS) + 0.06, "uniform: ln 64", ha="right", va="bottom")
draw(axes, True, "entropy", "with 1/√d_k", **WITH)
draw(axes, False, "entropy", "without", **WITHOUT)
axes.set_ylim(0, 4.7)
finish(axes, "entropy (nats)", loc="center right")

# %% [markdown]
# **Look for** where the two lines start: at $d_k = 1$ there is nothing to divide, and they
# coincide. From there the largest weight grows towards 1 without the scale. With it, it stays near
# 0.1, which is already more than six times the uniform $1/64$: a fresh model prefers some keys, and
# excludes none.

# %% caption="Largest of the 64 weights against d_k. With the scale it stays at 0.1; without, it reaches 0.8 at d_k = 64 and 0.94 at d_k = 1024."
figure, axes = plt.subplots()
axes.axhline(1 / N_KEYS, color="black", linestyle=":", linewidth=1)
axes.text(1024, 1 / N_KEYS - 0.02, "uniform: 1/64", ha="right", va="top")
draw(axes, True, "largest weight", "with 1/√d_k", **WITH)
draw(axes, False, "largest weight", "without", **WITHOUT)
axes.set_ylim(-0.1, 1.05)
finish(axes, "largest weight", loc="upper left")

# %% [markdown]
# ## The gradients { #gradients }
#
# **Prediction.** A saturated row passes a gradient only if its two best keys nearly tie. The gap
# between them grows like $\sqrt{d_k}$, so the gradient of a typical row, the median, falls
# exponentially in $\sqrt{d_k}$. The share of rows that nearly tie falls only like $1/\sqrt{d_k}$
# when $d_k$ is large, and so does the mean.
#
# **Look for** the two lines without the scale, which part ways. At $d_k = 64$ the mean is still
# what it is with the scale, and the median is about half. At $d_k = 1024$ the mean has lost two
# thirds, and the median more than 99 %.

# %% caption="Norm of the gradient at the input of softmax against d_k, logarithmic. With the scale the median stays near 0.16. Without, the median falls to 0.0004 at d_k = 1024 and the mean only to 0.06."
figure, axes = plt.subplots()
draw(axes, True, "scores, median", "with 1/√d_k, median", **WITH)
draw(axes, False, "scores, mean", "without, mean", color="C2", marker="^", linestyle=":")
draw(axes, False, "scores, median", "without, median", **WITHOUT)
axes.set_yscale("log")
finish(axes, "gradient at the scores", loc="lower left")

# %% [markdown]
# From the scores to the query the gradient meets the keys,
# $\partial L / \partial q = \sum_j (\partial L / \partial z_j)\, k_j$, and with the scale another
# factor $1/\sqrt{d_k}$. Without the scale that factor is missing.
#
# **Look for** the hump: up to $d_k = 128$ a typical query gets *more* gradient without the scale
# than with it, at 256 about as much, and only then less. The keys' gradients do the same. The
# values' gradient does not pass through softmax: it is $w_j\, \partial L / \partial o$, where $o$
# is the output, and a one-hot row hands it whole to one value. It grows towards 1.

# %% caption="Median norm of the gradient at the query and at the values against d_k, logarithmic. With the scale the query's stays near 0.16. Without, it rises to 1 at d_k = 32 and falls to 0.01 at d_k = 1024, while the values' rises towards 1."
figure, axes = plt.subplots()
draw(axes, True, "query, median", "query, with 1/√d_k", **WITH)
draw(axes, False, "query, median", "query, without", **WITHOUT)
draw(axes, False, "values, median", "values, without", color="C3", marker="D", linestyle="-.")
axes.set_yscale("log")
finish(axes, "gradient (median)", loc="lower left")

# %% [markdown]
# **Look for** how unequal the queries are. With the scale no query is starved. Without it, one in
# five is at $d_k = 64$, and two in three at $d_k = 1024$. The gradient has gone to the others. The
# largest weight is drawn beside it once more: where it is near 1, the row
# [passes little on](../derivations/softmax.md#near-one-hot). This is the drawing that stands under [The result](#result).

# %% name="result" caption="Largest of the 64 weights, and share of starved queries, whose gradient at the input of softmax is below 0.01, against d_k. With the scale the largest weight stays at 0.1 and no query is starved. Without, the largest weight is 0.8 at d_k = 64 and 0.94 at d_k = 1024, and 21 % and 67 % of the queries are starved."
figure, axes = plt.subplots()
draw(axes, False, "largest weight", "largest weight, without 1/√d_k", **WITHOUT)
draw(axes, False, "starved", "starved, without", color="C3", marker="D", linestyle="-.")
draw(axes, True, "largest weight", "largest weight, with", **WITH)
draw(axes, True, "starved", "starved, with", color="C2", marker="^", linestyle=":")
axes.set_ylim(-0.03, 1.05)
finish(axes, "weight, or share of queries", loc="upper left")

# %% [markdown]
# ## The numbers { #numbers }
#
# Mean ± standard deviation over the 12 seeds, for every second width.

# %%
from IPython.display import HTML, display

DIGITS = {
    "entropy": 2,
    "largest weight": 2,
    "scores, median": 4,
    "query, median": 2,
    "query, mean": 2,
    "values, median": 2,
    "starved": 2,
}


def cell(values: Tensor, digits: int) -> str:
    """Mean and standard deviation as a cell of a table."""
    return f"<td>{values.mean():.{digits}f} ± {values.std():.{digits}f}</td>"


def table(scaled: bool) -> str:
    """The statistics as rows of HTML, one row a width."""
    rows = []
    for d_k in WIDTHS[::2]:
        cells = (cell(over_seeds(d_k, scaled, name), digits) for name, digits in DIGITS.items())
        rows.append(f'<tr><th scope="row">{d_k}</th>{"".join(cells)}</tr>')
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("d_k", *DIGITS))
    caption = "With 1/√d_k" if scaled else "Without"
    return (
        f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


display(HTML(table(True)))
display(HTML(table(False)))

# %% [markdown]
# ## Versions { #versions }

# %%
import platform

print("Python", platform.python_version())
print("torch ", torch.__version__)
