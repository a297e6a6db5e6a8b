// Runs cases over the machine model, each in a fresh home (kUsage). Prints PASS, FAIL or EXCUSED MODE-CASE
// for each. Status 1: one failed, or none matched.
#include <absl/flags/flag.h>
#include <absl/flags/parse.h>
#include <absl/flags/usage.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/hosted/home.h"
#include "tests/conformance/modes.h"
#include "tests/conformance/scene.h"

ABSL_FLAG(bool, list, false, "print the names of the cases and run none");
ABSL_FLAG(bool, exits, false, "with each line, how many exits the case took and may take");

namespace nopte::conformance {
namespace {

constexpr const char* kUsage =
    "runs conformance cases over the machine model\n\n"
    "  test_conformance [--list] [--exits] [PATTERN...]\n\n"
    "PATTERN is MODE-CASE; a final * stands for any end. Without one, everything.";

struct HostedMode {
  const char* name;
  const char* as;  // the mode whose bounds and excuses hold
  std::unique_ptr<Home> (*make)();
  bool counts_exits;
  Promises promises = Promises::kCallers;  // where the home's are not the mode's
};
constexpr HostedMode kHostedModes[] = {
    {"native", "native", make_native_home, true},
    {"nested", "nested", make_nested_home, true},
    {"shadow", "shadow", make_shadow_home, true},
    {"vma", "vma", make_vma_home, true},
    // Calls are issued again at every check point.
    {"vma_interrupted", "vma", make_vma_interrupted_home, false},
    // The first hypervisor, without flags of region_map and queues: the guest's stub makes two calls.
    {"vma_first", "vma", make_vma_first_home, false, Promises::kOwn},
    {"kvmpv", "kvmpv", make_kvmpv_home, true},
    {"vmi", "vmi", make_vmi_home, true},
    {"lguest", "lguest", make_lguest_home, true},
    {"xen", "xen", make_xen_home, true},
};

// The first use of a home makes directories that stay, and so do the queues of so many spaces.
void warm_up(Scene& s) {
  for (int i = 0; i < 70; ++i) s.create_active();
  s.make_object(1);
  s.kmem_free(s.make_kmem(1), 1);
  static_cast<void>(s.map_window(s.make_object(1), 0, 1, 0));
}

struct Done {
  std::string failure;  // empty: none
  u64 exits = 0;
  u64 allowed = 0;
};

Done run(const HostedMode& hosted, const Mode& mode, const Case& row) {
  const auto home = hosted.make();
  const auto scene = std::make_unique<Scene>();
  home->set_windows(scene->windows);
  for (int i = 0; i < 2; ++i) run_case({"warm_up", warm_up, {}}, *scene, home->ops(), *home, mode.exits);
  const u64 before = home->exits();
  const char* failure = run_case(row, *scene, home->ops(), *home, mode.exits);
  if (failure == nullptr) failure = home->broken();
  Done done{failure != nullptr ? failure : "", home->exits() - before, scene->exits_allowed()};
  if (hosted.counts_exits && failure == nullptr && done.exits > done.allowed) {
    done.failure = absl::StrCat(done.exits, " exits, at most ", done.allowed, " allowed");
  }
  return done;
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

void run_mode(const HostedMode& hosted, const std::vector<std::string>& patterns, Totals& totals) {
  Mode mode = *find_mode(hosted.as);
  if (hosted.promises != Promises::kCallers) mode.promises = hosted.promises;
  for (const Subject& subject : subjects()) {
    for (const Case& row : subject.cases) {
      const std::string name = absl::StrCat(hosted.name, "-", row.name);
      if (!chosen(patterns, name)) continue;
      ++totals.run;
      if (absl::GetFlag(FLAGS_list)) {
        absl::PrintF("%s\n", name);
        continue;
      }
      const Done done = run(hosted, mode, row);
      const Judged judged = judge(mode, row.name, done.failure.empty() ? nullptr : done.failure.c_str());
      static constexpr const char* kWords[] = {"PASS", "FAIL", "EXCUSED"};
      std::string line = absl::StrCat(kWords[static_cast<unsigned>(judged.verdict)], " ", name);
      if (*judged.text != 0) absl::StrAppend(&line, ": ", judged.text);
      if (absl::GetFlag(FLAGS_exits)) {
        absl::StrAppend(&line, " [", done.exits, " of ", done.allowed, " exits]");
      }
      absl::PrintF("%s\n", line);
      totals.failed += judged.verdict == Verdict::kFail;
    }
  }
}

int run_all(int count, char** arguments) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<char*> words = absl::ParseCommandLine(count, arguments);
  const std::vector<std::string> patterns(words.begin() + 1, words.end());
  Totals totals;
  for (const HostedMode& hosted : kHostedModes) run_mode(hosted, patterns, totals);
  if (!absl::GetFlag(FLAGS_list)) absl::PrintF("%d cases, %d failed\n", totals.run, totals.failed);
  return totals.run == 0 || totals.failed != 0;
}

}  // namespace
}  // namespace nopte::conformance

int main(int count, char** arguments) { return nopte::conformance::run_all(count, arguments); }
