"""Pictures of an address space at a mark: what is promised, what is installed, and what of it is shared or large.

Whoever owns the engine tells it (native-fallback/engine/picture.h), in mode vma on the counters channel, elsewhere on the
console. As SVG and as text.
"""

import dataclasses
import json
import re
from xml.sax.saxutils import escape

from .errors import UserError

PAGE = 4096
_LINE = b"nopte: picture "
_ON_CONSOLE = re.compile(re.escape(_LINE.decode()) + r"(\{.*\})")
_READ, _WRITE, _EXECUTE = 1, 2, 4


@dataclasses.dataclass
class Run:
    page: int
    pages: int
    level: int
    rights: int
    parents: int

    @property
    def end(self):
        return self.page + self.pages

    @property
    def large(self):
        return self.level > 1

    @property
    def shared(self):
        return self.parents > 1

    @property
    def writable(self):
        return bool(self.rights & _WRITE)


@dataclasses.dataclass
class Region:
    page: int
    pages: int
    rights: int
    object: int  # 0: anonymous
    shared: bool
    runs: list = dataclasses.field(default_factory=list)  # what of it is installed

    @property
    def end(self):
        return self.page + self.pages

    @property
    def what(self):
        return "anonymous" if self.object == 0 else f"object {self.object}, {'shared' if self.shared else 'private'}"

    def installed(self, condition=lambda run: True):
        """Pages that are installed, and of these those whose run meets the condition."""
        return sum(run.pages for run in self.runs if condition(run))


@dataclasses.dataclass
class Picture:
    mark: str
    space: int
    regions: list
    whole: bool
    stray: list  # runs that no region promises


def all_of(run):
    """The pictures of a launcher.Run, one for each mark."""
    told = [event for event in run.events if event["event"] == "picture"]
    told += [_loads(found[1]) for found in map(_ON_CONSOLE.search, run.console.decode(errors="replace").splitlines()) if found]
    marks = [event["text"].strip() for event in run.events if event["event"] == "mark"]
    if len(told) != len(marks):
        raise UserError(f"the machine took {len(marks)} marks and told {len(told)} pictures")
    return [_picture(mark, event) for mark, event in zip(marks, told)]


def _loads(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"a picture on the console is not whole: {error.msg}") from error


def _picture(mark, event):
    try:
        regions = [Region(page, pages, rights, object_, bool(shared)) for page, pages, rights, object_, shared in event["regions"]]
        runs = [Run(*run) for run in event["runs"]]
        picture = Picture(mark, event["space"], regions, event["whole"] == 1, [])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError("a picture is of another version than this script", "build it: ninja -C build") from error
    for run in runs:
        picture.stray += _divide(run, regions)
    return picture


def _divide(run, regions):
    """Gives each region its part of the run; answers with parts that are nobody's."""
    at, rest = run.page, []
    for region in regions:
        if region.end <= at or region.page >= run.end:
            continue
        if region.page > at:
            rest.append(dataclasses.replace(run, page=at, pages=region.page - at))
            at = region.page
        end = min(region.end, run.end)
        region.runs.append(dataclasses.replace(run, page=at, pages=end - at))
        at = end
    if at < run.end:
        rest.append(dataclasses.replace(run, page=at, pages=run.end - at))
    return rest


def chosen(pictures, mark):
    """The last one, or the last one at the mark that is named."""
    if not pictures:
        raise UserError("--picture: no mark was taken", "let a program write some text to /dev/nopte-mark when it is to be drawn")
    found = [picture for picture in pictures if mark is None or picture.mark == mark]
    if not found:
        names = ", ".join(dict.fromkeys(picture.mark for picture in pictures))
        raise UserError(f"--picture-at: there was no mark {mark!r}", f"marks were {names}")
    return found[-1]


class ConsoleWithout:
    """Hands the console's bytes on, but for the lines of pictures."""

    def __init__(self, output):
        self._output = output
        self._line = b""  # what began with a picture's first letters, or all of it
        self._at_start = True

    def __call__(self, data):
        for piece in data.splitlines(keepends=True):
            if self._at_start:
                self._line += piece
                if len(self._line) < len(_LINE) and _LINE.startswith(self._line):
                    continue
                if self._line.startswith(_LINE):
                    if self._line.endswith(b"\n"):
                        self._line = b""
                    continue
                piece, self._line = self._line, b""
            self._output(piece)
            self._at_start = piece.endswith(b"\n")

    def finish(self):
        if self._line and not self._line.startswith(_LINE):
            self._output(self._line)


def rights(bits):
    return "".join(letter if bits & bit else "-" for letter, bit in (("r", _READ), ("w", _WRITE), ("x", _EXECUTE)))


def size(pages):
    for unit, shift in (("TiB", 28), ("GiB", 18), ("MiB", 8)):
        if pages >= 1 << shift:
            return f"{pages / (1 << shift):.4g} {unit}"
    return f"{pages * 4} KiB"


def text(picture):
    """A line for each region."""
    lines = [_headline(picture), "",
             f"{'begin':>14} {'size':>10} {'':3}  {'promised':<20} {'installed':>10} {'writable':>10} {'2 MiB leaves':>13} {'shared tables':>14}"]
    for region in picture.regions:
        lines.append(f"{region.page * PAGE:>14x} {size(region.pages):>10} {rights(region.rights)}  {region.what:<20} "
                     f"{region.installed():>10,} {region.installed(lambda run: run.writable):>10,} "
                     f"{region.installed(lambda run: run.large):>13,} {region.installed(lambda run: run.shared):>14,}")
    total = sum(region.pages for region in picture.regions)
    installed = sum(region.installed() for region in picture.regions)
    lines.append(f"{'':>14} {size(total):>10}      {'in all, pages':<20} {installed:>10,}")
    lines += [f"PROBLEM: installed and not promised: {run.pages} pages at {run.page * PAGE:x}" for run in picture.stray]
    if not picture.whole:
        lines.append("there is more than was told: the line is bounded")
    return "\n".join(lines) + "\n"


def _headline(picture):
    return f"space {picture.space} at the mark '{picture.mark}'"


_WIDTH, _LEFT, _BAR, _ROW, _HEAD = 1200, 400, 780, 24, 80
_FILLS = {"promised": "#e5e7eb", "writable": "#4caf6a", "read-only": "#6aa5dd", "no rights": "#6b7280", "not promised": "#dc2626"}


def svg(picture, mode):
    """A bar for each region, the longer the larger (by its logarithm), with its runs where they lie in it."""
    lines, y, before = [], _HEAD, None
    for region in picture.regions:
        if before is not None and region.page > before:
            lines.append(f'<text x="10" y="{y + 9}" fill="#9ca3af" font-size="9">{size(region.page - before)} of nothing</text>')
            y += 14
        lines += _bar(region, y)
        y += _ROW
        before = region.end
    for run in picture.stray:
        lines.append(f'<text x="10" y="{y + 12}" fill="{_FILLS["not promised"]}">{run.page * PAGE:x}: {run.pages} pages are installed '
                     "and not promised</text>")
        y += _ROW
    height = y + 10
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">',
        '<defs><pattern id="shared" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="2" height="6" fill="#111827" opacity="0.55"/></pattern></defs>',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="24" font-size="16" font-weight="bold">mode {escape(mode)}, {escape(_headline(picture))}</text>',
        *_legend(), *lines, "</svg>", ""])


def _legend():
    lines, x = [], 10
    for name, fill in (*list(_FILLS.items())[:4], ("2 MiB leaf", "white"), ("shared table", "url(#shared)")):
        edge = ' stroke="#111827"' if name == "2 MiB leaf" else ""
        lines.append(f'<rect x="{x}" y="40" width="16" height="12" fill="{fill}"{edge}/><text x="{x + 21}" y="50">{name}</text>')
        x += 21 + len(name) * 6.5 + 24
    lines.append('<text x="10" y="68" fill="#4b5563">Each bar is a region, the longer the larger (by its logarithm). Point at a run '
                 "for its figures.</text>")
    return lines


def _bar(region, y):
    width = min(_BAR, 40 + 37 * region.pages.bit_length())
    scale = width / region.pages
    label = (f"{region.page * PAGE:x} {rights(region.rights)} {region.what}, {size(region.pages)}, "
             f"{region.installed() / region.pages:.0%} installed")
    lines = [f'<text x="10" y="{y + 13}">{escape(label)}</text>',
             f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_ROW - 6}" fill="{_FILLS["promised"]}"/>']
    for run in region.runs:
        lines += _run(run, _LEFT + (run.page - region.page) * scale, max(run.pages * scale, 0.7), y)
    return lines


def _run(run, x, width, y):
    fill = _FILLS["writable" if run.writable else "read-only" if run.rights else "no rights"]
    title = (f"{run.page * PAGE:x}: {run.pages:,} pages, {rights(run.rights)}, leaves of {'2 MiB' if run.large else '4 KiB'}"
             + (f", in a table that {run.parents} entries lead to" if run.shared else ""))
    box = f'x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_ROW - 6}"'
    edge = ' stroke="#111827"' if run.large else ""
    lines = [f"<g><title>{escape(title)}</title>", f'<rect {box} fill="{fill}"{edge}/>']
    if run.shared:
        lines.append(f'<rect {box} fill="url(#shared)"/>')
    return [*lines, "</g>"]
