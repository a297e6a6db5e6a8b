"""What the engine does for one operation of experiments/bench, exactly: times differ from machine to machine, counts do not.

bench_counts.py PROGRAM
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

from lib import hosted_bench  # noqa: E402

# At 1,000 regions: leaf entries written, tables made, frames zeroed, frames copied; None: that depends on how many
# iterations there were. A clone copies 14 of the 16 tables of 64 pages and shares the last two, which come apart later.
EXPECTED = {
    "engine/touch and drop, tables come and go": (2, 3, 1, 0),
    "engine/touch and drop, tables stay": (2, 0, 1, 0),
    "engine/protect a page and back": (2, 0, 0, 0),
    "engine/clone and destroy, per touched page": (0.896, 0.017, 0, 0),
    "engine/write to a shared page": (None, None, 0, 1),
}


def main():
    program, = sys.argv[1:]
    rows = {row.operation: row for row in hosted_bench.run(program, "^engine/.*/1000$", 1000, 0.001)}
    wrong = [f"{name}: {dict(zip(hosted_bench.COUNTS, expected))} expected" for name, expected in EXPECTED.items()
             if name not in rows or any(want is not None and abs(rows[name].counts[count] - want) > 1e-9
                                        for count, want in zip(hosted_bench.COUNTS, expected))]
    print(hosted_bench.table(list(rows.values())))
    print("\n".join(wrong))
    sys.exit(1 if wrong or set(rows) != set(EXPECTED) else 0)


if __name__ == "__main__":
    main()
