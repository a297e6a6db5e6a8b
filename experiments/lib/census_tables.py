"""The census as text, CSV and JSON."""

import csv
import io
import json

from . import census as counting, comparison


def text_rows(census):
    """The table of bytes, sums included: {"part", "with", "without"}."""
    rows = list(census.text)
    rows.append({"part": "all, without the backends", "with": census.total("with", without_backends=True),
                 "without": census.total("without", without_backends=True)})
    rows.append({"part": "all", "with": census.total("with"), "without": census.total("without")})
    return rows


def site_rows(census):
    """(what, here, published)."""
    sites = census.sites
    total = sites.memory + sites.platform
    published = counting.PUBLISHED
    rows = [
        ("operations", f"{sum(census.operations.values())}", f"below {published['operations_below']}"),
        ("  of memory, of the platform", f"{census.operations['memory']}, {census.operations['platform']}", ""),
        ("call sites", f"{total:,}", f"{published['call_sites']:,}"),
        ("  of memory, of the platform", f"{sites.memory}, {sites.platform}", ""),
        ("indirect calls, before patching", f"{total - sites.direct}", f"{published['call_sites']:,}"),
    ]
    if census.redirected:
        redirected = sum(census.redirected.values())
        rows += [("natively at boot: led to another function", f"{redirected}", ""),
                 ("indirect or as linked, after patching", f"{total - redirected}", "")]
    return rows


def terminal(census):
    lines = ["", f"{'the guest image':<44}{'nopte':>12}{'Linux, 2007 *':>16}", "-" * 72]
    lines += [f"{what:<44}{here:>12}{published:>16}" for what, here, published in site_rows(census)]
    lines += ["", f"{'bytes of text':<34}{'with':>12}{'without':>12}{'growth':>10}", "-" * 68]
    for row in text_rows(census) + [{**row, "part": f"Linux, 2007 *: {row['part']}"}
                                    for row in counting.PUBLISHED["text"]]:
        lines.append(f"{row['part']:<34}{row['with']:>12,}{row['without']:>12,}{counting.growth(row):>10}")
    lines += ["", f"{'bytes of text: the engine':<44}{'interfaces':>12}{'both':>12}", "-" * 68]
    lines += [f"{row['part']:<44}{row['interfaces']:>12,}{row['both']:>12,}" for row in census.engines]
    if census.rows:
        lines += ["", f"{'instructions per operation, native':<44}{'patched':>14}{'without':>14}{'ratio':>9}", "-" * 81]
        for row in census.rows:
            lines.append(f"{row['title']:<44}{row['with']:>14,.2f}{row['without']:>14,.2f}{_ratio(row):>9.4f}")
    lines += ["", f"* {counting.PUBLISHED['source']}"]
    return "\n".join(lines)


def _ratio(row):
    return row["with"] / row["without"] if row["without"] else float("nan")


def csv_text(census):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "name", "with", "without"))
    for kind, number in census.operations.items():
        writer.writerow(("operations", kind, number, ""))
    for kind in ("memory", "platform"):
        writer.writerow(("call sites", kind, getattr(census.sites, kind), ""))
    for row in text_rows(census):
        writer.writerow(("text", row["part"], row["with"], row["without"]))
    for row in census.engines:
        writer.writerow(("engines", row["part"], row["interfaces"], row["both"]))
    for row in census.rows:
        writer.writerow(("row", row["row"], f"{row['with']:.4f}", f"{row['without']:.4f}"))
    return out.getvalue()


def json_text(census):
    return json.dumps({
        "operations": census.operations,
        "call_sites": {"memory": census.sites.memory, "platform": census.sites.platform,
                       "direct_as_linked": census.sites.direct, "redirected_natively": census.redirected},
        "text": text_rows(census),
        "engines": census.engines,
        "rows": census.rows,
        "published": counting.PUBLISHED,
        "problems": census.problems,
        "about": comparison.facts(),
    }, indent=1) + "\n"
