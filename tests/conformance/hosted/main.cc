// Runs cases over the machine model, each in a fresh home:
//
//   test_conformance [PATTERN...]   PATTERN: MODE-CASE; a final * stands for any end. Without one,
//   everything. test_conformance --list         the names
//
// Prints PASS, FAIL or EXCUSED MODE-CASE for each. Status 1: one failed, or none matched.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/conformance/hosted/home.h"
#include "tests/conformance/modes.h"
#include "tests/conformance/scene.h"

namespace nopte::conformance {
namespace {

struct HostedMode {
  const char* name;
  const char* as;  // the mode whose bounds and excuses hold
  std::unique_ptr<Home> (*make)();
  bool counts_exits;
};
constexpr HostedMode kHostedModes[] = {
    {"native", "native", make_native_home, true},
    {"vma", "vma", make_vma_home, true},
    // Calls are issued again at every check point.
    {"vma_interrupted", "vma", make_vma_interrupted_home, false},
};

// The first use of a home makes directories that stay.
void warm_up(Scene& s) {
  s.create_active();
  s.make_object(1);
  s.kmem_free(s.make_kmem(1), 1);
  static_cast<void>(s.map_window(s.make_object(1), 0, 1, 0));
}

std::string run(const HostedMode& hosted, const Mode& mode, const Case& row) {
  const auto home = hosted.make();
  const auto scene = std::make_unique<Scene>();
  home->set_windows(scene->windows);
  for (int i = 0; i < 2; ++i) run_case({"warm_up", warm_up, {}}, *scene, home->ops(), *home, mode.exits);
  const u64 before = home->exits();
  if (const char* failure = run_case(row, *scene, home->ops(), *home, mode.exits)) return failure;
  if (const char* broken = home->broken()) return broken;
  const u64 exits = home->exits() - before;
  if (hosted.counts_exits && exits > scene->exits_allowed()) {
    return std::to_string(exits) + " exits, at most " + std::to_string(scene->exits_allowed()) + " allowed";
  }
  return {};
}

struct Totals {
  u64 run = 0;
  u64 failed = 0;
};

bool chosen(const std::vector<std::string>& patterns, const std::string& name) {
  for (const std::string& pattern : patterns) {
    if (matches(pattern, name)) return true;
  }
  return patterns.empty();
}

void run_mode(const HostedMode& hosted, const std::vector<std::string>& patterns, bool list, Totals& totals) {
  const Mode& mode = *find_mode(hosted.as);
  for (const Subject& subject : subjects()) {
    for (const Case& row : subject.cases) {
      const std::string name = std::string(hosted.name) + "-" + row.name;
      if (!chosen(patterns, name)) continue;
      ++totals.run;
      if (list) {
        std::printf("%s\n", name.c_str());
        continue;
      }
      const std::string failure = run(hosted, mode, row);
      const Judged judged = judge(mode, row.name, failure.empty() ? nullptr : failure.c_str());
      static constexpr const char* kWords[] = {"PASS", "FAIL", "EXCUSED"};
      std::printf("%s %s%s%s\n", kWords[static_cast<unsigned>(judged.verdict)], name.c_str(),
                  *judged.text != 0 ? ": " : "", judged.text);
      totals.failed += judged.verdict == Verdict::kFail;
    }
  }
}

int run_all(int count, char** arguments) {
  std::vector<std::string> patterns(arguments + 1, arguments + count);
  const bool list = std::erase(patterns, "--list") != 0;
  Totals totals;
  for (const HostedMode& hosted : kHostedModes) run_mode(hosted, patterns, list, totals);
  if (!list) {
    std::printf("%lu cases, %lu failed\n", static_cast<unsigned long>(totals.run),
                static_cast<unsigned long>(totals.failed));
  }
  return totals.run == 0 || totals.failed != 0;
}

}  // namespace
}  // namespace nopte::conformance

int main(int count, char** arguments) { return nopte::conformance::run_all(count, arguments); }
