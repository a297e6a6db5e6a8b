"""Text, numbers and tables for LaTeX."""

_WORDS = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
          "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
          "×": r"$\times$", "÷": r"$\div$", "–": "--", "—": "---", "…": r"\ldots{}", "−": r"$-$", "µ": r"\textmu{}", "≤": r"$\le$",
          "≥": r"$\ge$", "→": r"$\to$", "’": "'", '"': r"\textquotedbl{}"}
# Shown in the typewriter face these would become other characters, or ligatures.
_TYPED = _WORDS | {"-": "{-}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}"}


def escape(text, words=None):
    """`text` as LaTeX that prints just that. What has no spelling here prints as a question mark."""
    words = words or _WORDS
    return "".join(words.get(each, each if each.isascii() else "?") for each in text)


def typed(text):
    """A command, in the typewriter face; lines may break at its spaces and behind its slashes and commas."""
    return r"\texttt{" + escape(text, _TYPED).replace("/", r"/\allowbreak{}").replace(",", r",\allowbreak{}") + "}"


def number(value):
    return f"{value:,.0f}"


def small(value):
    """Whole from 1,000 on, else two decimals, and no minus before a zero."""
    return number(value) if value >= 1000 else f"{round(value, 2) + 0.0:.2f}"


def ratio(value):
    return f"{value:.2f}"


def exits(value):
    return "0" if value < 0.005 else f"{value:,.2f}".rstrip("0").rstrip(".")


def table(head, rows, columns=None):
    """A tabular. Cells are LaTeX already; `columns`: its argument, the first to the left and all others to the right if not given."""
    columns = columns or "l" + "r" * (len(head) - 1)
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    lines += [row if isinstance(row, str) else " & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
