"""The labs' plots: nothing of a background, text that stays text, and the same file every time."""

import io

import matplotlib
import matplotlib.pyplot as plt

from snippets.plots import plot_style


def drawn() -> str:
    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4], marker="o")
    axes.set_xlabel("a name")
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return file.getvalue()


def test_a_plot_has_text_and_no_background_and_is_the_same_again() -> None:
    with matplotlib.rc_context():
        plt.switch_backend("svg")
        plot_style("salt", **{"font.size": 9})
        svg = drawn()
        assert svg == drawn()
        assert ">a name</text>" in svg
        assert "fill: none" in svg
        assert "fill: #ffffff" not in svg
        assert plt.rcParams["font.size"] == 9
