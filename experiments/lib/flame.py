"""A flame graph as SVG: callers below, callees above, as wide as the instructions that were executed there."""

from xml.sax.saxutils import escape

from . import profile_formats

_WIDTH = 1200
_MARGIN = 10
_ROW = 17
_FONT = 11
_LETTER = 6.5  # of this font, about
_LEAST = 0.3  # pixels: narrower frames, and all above them, are left out
_HEAD = 66

# A fill for each owner, two shades that take turns so that neighbours are told apart.
_FILLS = {"program": ("#a7d3a6", "#bfe0be"), "guest kernel": ("#9cc3e6", "#b5d3ee"), "hypervisor": ("#f2a67e", "#f6bd9e"),
          "firmware": ("#d4d4d8", "#e4e4e7")}


def svg(profile):
    total = max(profile.instructions, 1)
    scale = (_WIDTH - 2 * _MARGIN) / total
    boxes = []
    waiting = [(profile.tree, 0, 0)]
    while waiting:
        node, begin, depth = waiting.pop()
        # The widest first, those of the node itself last.
        for child in sorted(node.children.values(), key=lambda one: -one.total):
            if child.total * scale >= _LEAST:
                boxes.append((child, begin, depth))
                waiting.append((child, begin, depth + 1))
            begin += child.total
    depth = max((depth for _, _, depth in boxes), default=0) + 1
    height = _HEAD + depth * _ROW + _MARGIN
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
             f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="{_FONT}">',
             "<style>g:hover rect{stroke:#111827;stroke-width:1} text{pointer-events:none}</style>",
             f'<rect width="{_WIDTH}" height="{height}" fill="white"/>', *_head(profile)]
    for index, (node, begin, level) in enumerate(boxes):
        lines.append(_box(node, _MARGIN + begin * scale, node.total * scale, height - _MARGIN - (level + 1) * _ROW,
                          (level + index) % 2, profile))
    return "\n".join([*lines, "</svg>", ""])


def _head(profile):
    per = f" for {profile.ops:,} operations" if profile.ops != 1 else ""
    lines = [f'<text x="{_MARGIN}" y="24" font-size="16" font-weight="bold">{escape(profile.title)}, mode '
             f'{escape(profile.mode)}</text>',
             f'<text x="{_MARGIN}" y="41" fill="#4b5563">{profile.instructions:,} executed instructions{per}; a frame is as wide '
             "as what was executed in it and its callees</text>"]
    x = _MARGIN
    for name, (fill, _) in _FILLS.items():
        lines.append(f'<rect x="{x}" y="48" width="11" height="11" fill="{fill}"/><text x="{x + 15}" y="58">{name}</text>')
        x += 15 + len(name) * _LETTER + 22
    return lines


def _box(node, x, width, y, shade, profile):
    function = node.function
    share = node.total / max(profile.instructions, 1)
    title = (f"{function.name} ({function.image})\n{node.total / profile.ops:,.1f} instructions ({share:.2%}), of its own "
             f"{node.own / profile.ops:,.1f}, called {node.calls / profile.ops:,.2f} times"
             + (", each per operation" if profile.ops != 1 else ""))
    text = _fit(profile_formats.short(function.name), width - 6)
    label = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text>' if text else ""
    fill = _FILLS[profile_formats.owner(function)][shade]
    return (f'<g><title>{escape(title)}</title><rect x="{x:.2f}" y="{y}" width="{max(width - 0.4, 0.2):.2f}" height="{_ROW - 1}" '
            f'fill="{fill}" rx="1"/>{label}</g>')


def _fit(text, width):
    """The end of a name says more than its beginning: the namespaces go first, then its own end."""
    room = int(width / _LETTER)
    while len(text) > room and "::" in text:
        text = text.split("::", 1)[1]
    if len(text) <= room:
        return text
    return text[:room - 1] + "…" if room >= 4 else ""
