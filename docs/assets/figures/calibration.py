"""Draws how sure the models of the study regularization are, as `calibration.svg`.

Accuracy against confidence, a curve for each label smoothing: the mean over the seeds of each tenth
of the confidence. `make generated` writes the figure from the recorded runs.
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # where `benchmarks` is

from benchmarks.regularization_study import DROPOUT, SPLIT, facts
from benchmarks.studies import matching, settings

LEFT, TOP, SIDE = 52, 60, 280
STYLES = {0.0: ("--plot-1", "none"), 0.1: ("--plot-2", "7 3"), 0.2: ("--plot-3", "2 3")}


def x_of(percent: float) -> float:
    return LEFT + SIDE * percent / 100


def y_of(percent: float) -> float:
    return TOP + SIDE * (100 - percent) / 100


def curve(smoothing: float) -> list[tuple[float, float]]:
    """The mean confidence and accuracy of each tenth that holds tokens in every run, in percent."""
    runs = matching(facts(), dropout=DROPOUT, smoothing=smoothing)
    tenths = zip(*(run["calibration"][SPLIT] for run in runs), strict=True)
    return [
        tuple(
            100 * statistics.mean(one[key] for one in tenth) for key in ("confidence", "accuracy")
        )
        for tenth in tenths
        if all(one["tokens"] for one in tenth)
    ]


def main() -> None:
    drawn, said = ['<text x="8" y="22" style="text-anchor:start">smoothing</text>'], []
    for percent in (0, 25, 50, 75, 100):
        x, y = x_of(percent), y_of(percent)
        drawn += [
            f'<path d="M{LEFT} {y:g}H{LEFT + SIDE}" style="stroke:var(--rule)"/>',
            f'<text class="shape" x="{LEFT - 6}" y="{y + 4:g}" style="text-anchor:end">'
            f"{percent}%</text>",
            f'<text class="shape" x="{x:g}" y="{TOP + SIDE + 17}">{percent}%</text>',
        ]
    drawn.append(
        f'<path d="M{x_of(0):g} {y_of(0):g}L{x_of(100):g} {y_of(100):g}" '
        'style="stroke-dasharray:1 4"/>'
    )
    for number, smoothing in enumerate(settings(matching(facts(), dropout=DROPOUT), "smoothing")):
        colour, dashes = STYLES[smoothing]
        style = f"stroke:var({colour});stroke-width:2;stroke-dasharray:{dashes}"
        points = curve(smoothing)
        line = "L".join(f"{x_of(sure):.1f} {y_of(right):.1f}" for sure, right in points)
        x = 108 + 82 * number
        drawn += [
            f'<path d="M{line}" style="{style}"/>',
            f'<path d="M{x} 18h22" style="{style}"/>'
            f'<text x="{x + 27}" y="22" style="text-anchor:start">{smoothing}</text>',
        ]
        said.append(
            f"smoothing {smoothing}: "
            + ", ".join(f"{right:.0f} at {sure:.0f}" for sure, right in points)
        )
    print(
        f'<svg class="diagram upright" viewBox="0 0 360 {TOP + SIDE + 42}" role="img" '
        'aria-labelledby="calibration-title calibration-desc" '
        'xmlns="http://www.w3.org/2000/svg">'
    )
    print('<title id="calibration-title">How often a model is right, by how sure it is</title>')
    print(
        '<desc id="calibration-desc">A curve for each label smoothing, and the diagonal on which '
        f"both are equal. Right in percent, at confidence in percent; {'; '.join(said)}.</desc>"
    )
    print("\n".join(drawn))
    print(
        f'<text class="shape" x="{LEFT + SIDE / 2:g}" y="{TOP + SIDE + 36}">'
        "probability of the first choice</text>"
    )
    print(f'<text class="shape" x="{LEFT}" y="{TOP - 10}" style="text-anchor:start">right</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
