"""How the plots of the labs look: `docs/lab/`."""

import matplotlib.pyplot as plt


# --8<-- [start:plot_style]
def plot_style(salt: str, **changes: object) -> None:
    """Draw without a background and with text as text, so that a plot follows the page's palette.

    Args:
        salt: What the identifiers within the drawings are made of, the same at every build.
        changes: Settings of matplotlib that differ from these.
    """
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.size": 12,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "svg.hashsalt": salt,
        }
        | changes
    )


# --8<-- [end:plot_style]
