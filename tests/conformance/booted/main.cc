// The conformance cases as a guest: takes the kernel's place in the test image nopte-conformance, which is
// the guest image otherwise. Its command line: "-- MODE [PATTERN...]", separated by 0x1f; without patterns,
// every case. Prints PASS, FAIL or EXCUSED MODE-CASE for each, at the end how many ran; on the counters
// channel, "begin N" and "end N BOUND" let the runner hold the exits of the Nth line against what it allows.
#include "guest-mm/kernel/arch.h"
#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"
#include "tests/conformance/booted/booted_memory.h"
#include "tests/conformance/booted/xen_answers.h"
#include "tests/conformance/line.h"
#include "tests/conformance/modes.h"
#include "tests/conformance/scene.h"

// Where the image keeps the translation layer (guest.ld).
extern "C" const nopte::u8 image_data_end[];
extern "C" const nopte::u8 image_end[];

namespace nopte::guest {
namespace {

using conformance::Case;
using conformance::Judged;
using conformance::Line;
using conformance::Mode;
using conformance::Scene;
using conformance::Verdict;

constexpr u8 kUsageStatus = 2;

// What the kernel calls: bound at boot, not through a table.
constexpr MmOps kBoundCalls{
    "bound at boot",
#define NOPTE_OP(result, name, parameters, arguments) \
  [] parameters -> result { return mm_ops().name arguments; },
#include "pvops/mm_ops.def"
};

constinit conformance::BootedMemory g_memory;
constinit Scene g_scene;

class Arguments {
 public:
  explicit Arguments(std::string_view line) {
    constexpr std::string_view kBefore = "-- ";
    const auto at = line.find(kBefore);
    rest_ = at == std::string_view::npos ? "" : line.substr(at + kBefore.size());
    mode_ = next();
  }
  [[nodiscard]] std::string_view mode() const { return mode_; }
  [[nodiscard]] bool chosen(std::string_view name) const {
    if (rest_.empty()) return true;
    for (Arguments left = *this; !left.rest_.empty();) {
      if (conformance::matches(left.next(), name)) return true;
    }
    return false;
  }

 private:
  std::string_view next() {
    const auto end = rest_.find('\x1f');
    const std::string_view word = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? "" : rest_.substr(end + 1);
    return word;
  }
  std::string_view rest_;
  std::string_view mode_;
};

void print(const Line& line) { platform_ops().console_write(line.view()); }

void warm_up(Scene& scene) {
  for (int i = 0; i < 70; ++i) scene.create_active();
  scene.make_object(1);
  scene.kmem_free(scene.make_kmem(1), 1);
  static_cast<void>(scene.map_window(scene.make_object(1), 0, 1, 0));
}

// In mode vma the translation layer's text and data are not there: touching them faults. Elsewhere they are.
bool translation_layer_is_where_it_belongs(bool vma) {
  for (const u8* at = image_data_end; at < image_end; at += kPageBytes) {
    if (g_memory.load(Gva(reinterpret_cast<u64>(at))).has_value() == vma) return false;
  }
  return &image_data_end[0] < &image_end[0];
}

class Run {
 public:
  explicit Run(const Mode& mode) : mode_(mode) {}

  void run(const Case& row) {
    platform_ops().mark(Line().text("begin ").number(run_).view());
    const char* const failure = conformance::run_case(row, g_scene, kBoundCalls, g_memory, mode_.exits);
    platform_ops().mark(Line().text("end ").number(run_).text(" ").number(g_scene.exits_allowed()).view());
    report(row.name, failure);
  }
  void report(std::string_view name, const char* failure) {
    const Judged judged = conformance::judge(mode_, name, failure);
    static constexpr const char* kWords[] = {"PASS ", "FAIL ", "EXCUSED "};
    Line line;
    line.text(kWords[static_cast<unsigned>(judged.verdict)]).text(mode_.name).text("-").text(name);
    if (*judged.text != 0) line.text(": ").text(judged.text);
    print(line.text("\n"));
    ++run_;
    failed_ += judged.verdict == Verdict::kFail;
  }
  [[noreturn]] void end() {
    print(Line().number(run_).text(" cases, ").number(failed_).text(" failed\n"));
    platform_ops().power_off(failed_ == 0 && run_ != 0 ? 0 : 1);
  }

 private:
  const Mode& mode_;
  u64 run_ = 0;
  u64 failed_ = 0;
};

}  // namespace

void kernel_main(const BootInfo& boot) {
  const Arguments arguments(boot.command_line);
  const Mode* const mode = conformance::find_mode(arguments.mode());
  if (mode == nullptr) {
    print(Line().text("tests/conformance/modes.cc has no mode ").text(arguments.mode()).text("\n"));
    platform_ops().power_off(kUsageStatus);
  }
  // What a home keeps from its first use on (directories, pools) is there before the first case.
  for (int i = 0; i < 2; ++i) {
    conformance::run_case({"warm_up", warm_up, {}}, g_scene, kBoundCalls, g_memory, mode->exits);
  }
  Run run(*mode);
  for (const conformance::Subject& subject : conformance::subjects()) {
    for (const Case& row : subject.cases) {
      if (arguments.chosen(row.name)) run.run(row);
    }
  }
  const bool on_xen = arguments.mode() == "xenpv";
  if ((on_xen || arguments.mode() == "xen") && arguments.chosen("xen_answers")) {
    conformance::for_each_xen_answer(
        on_xen, [&](const char* name, const char* failure) { run.report(name, failure); });
  }
  constexpr const char* kPlace = "translation_layer_is_left_out_in_vma";
  if (arguments.chosen(kPlace)) {
    const bool apart = translation_layer_is_where_it_belongs(arguments.mode() == "vma");
    run.report(kPlace, apart ? nullptr : "it is not where it belongs");
  }
  run.end();
}

}  // namespace nopte::guest
