"""One process of a fuzzer: runs it, and writes what came of it as JSON. A finding is an answer, not a failure."""

import argparse
import json
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def finding(output):
    """libFuzzer's and the sanitizers' own words for what it found, or what it ended with."""
    for line in output.splitlines():
        if match := re.match(r"^(?:==\d+==\s*)?(?:ERROR|SUMMARY): (.*)$", line):
            return match[1]
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "ended without a word"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    corpus = ROOT / "tests" / "fuzz" / "corpus" / options.name
    artifacts = options.out.with_suffix("").absolute()
    with tempfile.TemporaryDirectory() as found:
        # As tests/fuzz/CMakeLists.txt has it: the same seed and inputs do the same.
        command = [ROOT / "build-fuzz" / "tests" / "fuzz" / options.name, f"-runs={options.inputs}", f"-seed={options.seed}",
                   "-max_len=1024", "-use_cmp=0", "-reload=0", f"-artifact_prefix={artifacts}-", found,
                   *([corpus] if corpus.is_dir() else [])]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
    print(done.stdout)
    result = {"fuzzer": options.name, "seed": options.seed, "inputs": options.inputs, "status": done.returncode}
    if done.returncode != 0:
        result["finding"] = finding(done.stdout)
        result["inputs_kept"] = sorted(path.name for path in artifacts.parent.glob(f"{artifacts.name}-*"))
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
