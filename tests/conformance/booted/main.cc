// The conformance cases as a guest: takes the kernel's place in the test image nopte-conformance, which is
// the guest image otherwise. Prints PASS or FAIL for each case; on the counters channel, "begin N" and "end N
// BOUND" let the runner hold the exits of case N against what it allows.
#include <charconv>
#include <cstring>

#include "guest-mm/core/kernel_windows.h"
#include "guest-mm/kernel/arch.h"
#include "pvops/platform_ops.h"
#include "tests/conformance/scene.h"

// Where the image keeps the translation layer (guest.ld).
extern "C" const nopte::u8 image_data_end[];
extern "C" const nopte::u8 image_end[];

namespace nopte::guest {
namespace {

// The engine asks the guest's own tree about windows, natively: what the scene promises goes there.
class WindowObject final : public RegionList {};
WindowObject g_window_object;

class BootedMemory final : public conformance::Memory {
 public:
  Result<u64> load(Gva va) override {
    u64 value = 0;
    if (auto copied = arch::copy_from_user(&value, va, sizeof(value)); !copied) return Fail(copied.error());
    return value;
  }
  Status store(Gva va, u64 value) override {
    return status_of(arch::copy_to_user(va, &value, sizeof(value)));
  }
  u64 kernel_load(Gva va) override { return *reinterpret_cast<volatile u64*>(va.value()); }
  void kernel_store(Gva va, u64 value) override { *reinterpret_cast<volatile u64*>(va.value()) = value; }
  Result<u64> window_load(Gva va) override {
    u64 value = 0;
    if (auto copied = arch::copy_fallible(&value, reinterpret_cast<const void*>(va.value()), sizeof(value));
        !copied) {
      return Fail(copied.error());
    }
    return value;
  }
  Status window_store(Gva va, u64 value) override {
    return status_of(arch::copy_fallible(reinterpret_cast<void*>(va.value()), &value, sizeof(value)));
  }
  void window_promised(const RegionSpec& spec) override {
    auto plan = kernel_window_tree().prepare_insert(spec, 0, &g_window_object);
    NOPTE_ASSERT(plan);
    kernel_window_tree().commit(*plan);
  }
  void window_withdrawn(VaRange range) override {
    auto plan = kernel_window_tree().prepare_unmap(range);
    NOPTE_ASSERT(plan);
    kernel_window_tree().commit(*plan);
  }

 private:
  static Status status_of(const Result<void>& result) { return result ? Status::kOk : result.error(); }
};

class Line {
 public:
  Line& text(std::string_view part) {
    const u64 room = sizeof(text_) - bytes_;
    const u64 taken = part.size() < room ? part.size() : room;
    std::memcpy(text_ + bytes_, part.data(), taken);
    bytes_ += taken;
    return *this;
  }
  Line& number(u64 value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    return text({digits, static_cast<std::size_t>(end - digits)});
  }
  [[nodiscard]] std::string_view view() const { return {text_, bytes_}; }

 private:
  char text_[200];
  u64 bytes_ = 0;
};

constinit BootedMemory g_memory;
constinit conformance::Scene g_scene;

void warm_up(conformance::Scene& scene) {
  scene.create_active();
  scene.expect(scene.object(1).has_value(), "no memory for an object");
  if (const auto grant = scene.kmem(1)) scene.kmem_free(*grant, 1);
  if (const auto object = scene.object(1)) static_cast<void>(scene.map_window(*object, 0, 1, 0));
}

// In mode vma the translation layer's text and data are not there: touching them faults. Elsewhere they are.
bool translation_layer_is_where_it_belongs(bool vma) {
  u8 byte = 0;
  for (const u8* at = image_data_end; at < image_end; at += kPageBytes) {
    if (arch::copy_fallible(&byte, at, 1).has_value() == vma) return false;
  }
  return &image_data_end[0] < &image_end[0];
}

}  // namespace

void kernel_main(const BootInfo& boot) {
  // What a home keeps from its first use on (directories, pools) is there before the first case.
  for (int i = 0; i < 2; ++i) run_case({"warm_up", warm_up}, g_scene, mm_ops(), g_memory);
  u64 failed = 0;
  const bool apart = translation_layer_is_where_it_belongs(std::string_view(boot.mode) == "vma");
  platform_ops().console_write(apart ? "PASS translation_layer_is_left_out_in_vma\n"
                                     : "FAIL translation_layer_is_left_out_in_vma\n");
  failed += !apart;
  u64 number = 0;
  for (const conformance::Case& row : conformance::cases()) {
    platform_ops().mark(Line().text("begin ").number(number).view());
    const char* const failure = conformance::run_case(row, g_scene, mm_ops(), g_memory);
    platform_ops().mark(Line().text("end ").number(number).text(" ").number(g_scene.exits_allowed()).view());
    Line line;
    line.text(failure == nullptr ? "PASS " : "FAIL ").text(row.name);
    if (failure != nullptr) line.text(": ").text(failure);
    platform_ops().console_write(line.text("\n").view());
    failed += failure != nullptr;
    ++number;
  }
  platform_ops().power_off(failed == 0 ? 0 : 1);
}

}  // namespace nopte::guest
