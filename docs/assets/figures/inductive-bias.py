"""Draws what the study distance has found, as `inductive-bias.svg`: accuracy against sentences.

The runs are those of `docs/assets/data/studies/distance.jsonl`. `make generated` writes the figure.
"""

import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # where `benchmarks` is

from benchmarks.distance import MODELS, TASKS, facts, scores
from benchmarks.studies import settings

LEFT, RIGHT, TOP, HEIGHT, PITCH = 44, 346, 62, 150, 204
DASHES = {"transformer": "none", "recurrent": "7 3", "convolutional": "2 3"}
COLOURS = {"transformer": "--plot-1", "recurrent": "--plot-2", "convolutional": "--plot-3"}
SHIFT = {"transformer": -5, "recurrent": 0, "convolutional": 5}  # so that no bar hides another


def place(percent: float, top: float, least: float) -> float:
    """The height at which a percentage stands, if the axis begins at the least."""
    return top + HEIGHT * (100 - percent) / (100 - least)


def main() -> None:
    lines = facts()["distance"]
    counts = settings(lines, "train_pairs")
    width = (RIGHT - LEFT - 40) / math.log(counts[-1] / counts[0])
    across = {n: LEFT + 20 + width * math.log(n / counts[0]) for n in counts}
    curves = {
        (task, model): [
            scores(lines, "accuracy", model=model, corpus=task, train_pairs=n) for n in counts
        ]
        for task in TASKS
        for model in MODELS
    }
    lowest = min(
        statistics.mean(values) - statistics.stdev(values)
        for found in curves.values()
        for values in found
    )
    least = lowest // 10 * 10
    said, drawn = [], []
    for number, (task, name) in enumerate(TASKS.items()):
        top = TOP + number * PITCH
        drawn.append(
            f'<text x="{LEFT}" y="{top - 10}" style="text-anchor:start">the answer is {name}</text>'
        )
        for percent in (least, (least + 100) / 2, 100):
            y = place(percent, top, least)
            drawn.append(f'<path d="M{LEFT} {y:g}H{RIGHT}" style="stroke:var(--rule)"/>')
            drawn.append(
                f'<text class="shape" x="{LEFT - 6}" y="{y + 4:g}" style="text-anchor:end">'
                f"{percent:g}%</text>"
            )
        for n, x in across.items():
            drawn.append(f'<text class="shape" x="{x:g}" y="{top + HEIGHT + 17}">{n:,}</text>')
        for model in MODELS:
            found = curves[task, model]
            means = [statistics.mean(values) for values in found]
            said.append(
                f"{name}, {model}: "
                + ", ".join(f"{mean:.0f} at {n:,}" for n, mean in zip(counts, means, strict=True))
            )
            points = [
                (across[n] + SHIFT[model], place(mean, top, least))
                for n, mean in zip(counts, means, strict=True)
            ]
            bars = "".join(
                f"M{x:g} {place(mean - spread, top, least):.1f}"
                f"V{place(mean + spread, top, least):.1f}"
                f"m-3 0h6M{x - 3:g} {place(mean - spread, top, least):.1f}h6"
                for (x, _), mean, spread in zip(
                    points, means, map(statistics.stdev, found), strict=True
                )
            )
            line = "L".join(f"{x:g} {y:.1f}" for x, y in points)
            colour = f"stroke:var({COLOURS[model]})"
            drawn.append(
                f'<path d="M{line}" style="{colour};stroke-width:2;'
                f'stroke-dasharray:{DASHES[model]}"/><path d="{bars}" style="{colour}"/>'
            )
    bottom = TOP + (len(TASKS) - 1) * PITCH + HEIGHT + 36
    print(
        f'<svg class="diagram upright" viewBox="0 0 360 {bottom + 6}" role="img" '
        'aria-labelledby="inductive-bias-title inductive-bias-desc" '
        'xmlns="http://www.w3.org/2000/svg">'
    )
    print(
        '<title id="inductive-bias-title">Accuracy on the test sentences against the number of '
        "sentences trained on</title>"
    )
    print(
        '<desc id="inductive-bias-desc">Two panels, one for each task, with a curve for each model '
        "and bars of one standard deviation. Mean accuracy in percent; "
        f"{'; '.join(said)}.</desc>"
    )
    for number, model in enumerate(MODELS):
        x = 8 + 118 * number
        print(
            f'<path d="M{x} 18h22" style="stroke:var({COLOURS[model]});stroke-width:2;'
            f'stroke-dasharray:{DASHES[model]}"/>'
            f'<text x="{x + 27}" y="22" style="text-anchor:start">{model}</text>'
        )
    print("\n".join(drawn))
    print(f'<text class="shape" x="{(LEFT + RIGHT) / 2:g}" y="{bottom}">sentences</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
