"""The white space that the build leaves out of pages, and where it stays."""

from docs.hooks.white_space import on_post_page


def test_empty_lines_and_indents_go_and_words_stay_apart() -> None:
    page = "<ul>\n\n   \n  <li>a\n    <b>b</b> c</li>\n</ul>\n"
    assert on_post_page(page) == "<ul>\n<li>a\n<b>b</b> c</li>\n</ul>\n"


def test_white_space_that_counts_stays() -> None:
    code = "<pre><code>if a:\n\n    b</code></pre>"
    script = "<script>\n\n  `a\n\n   b`\n</script>"
    page = f"<p>\n\n{code}\n\n {script}</p><PRE>\n\n  a</PRE>"
    assert on_post_page(page) == f"<p>\n{code}\n{script}</p><PRE>\n\n  a</PRE>"
