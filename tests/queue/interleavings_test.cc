// Every sequence of a few maps, unmaps, changes of rights, accesses and switches over three pages: whenever
// the hypervisor takes what is queued, each access is answered, and reads, as a plain list says.
#include <array>
#include <string>

#include "tests/queue/queue_guest.h"

namespace nopte::test {
namespace {

constexpr u64 kPages = 3;
#ifdef __SANITIZE_ADDRESS__
constexpr unsigned kLength = 4;
#else
constexpr unsigned kLength = 5;
#endif

// What the guest's list says, page by page, and what a program has written.
struct Reference {
  struct Page {
    bool promised = false;
    Perm perm{};
    u64 word = 0;
  };
  std::array<Page, kPages> pages{};

  [[nodiscard]] bool all(u64 page, u64 count, bool promised) const {
    for (u64 n = page; n < page + count; ++n) {
      if (pages[n].promised != promised) return false;
    }
    return true;
  }
  [[nodiscard]] ViolationReason touch(u64 page, Access access) const {
    if (!pages[page].promised) return ViolationReason::kNoRegion;
    return allows(pages[page].perm, access) ? ViolationReason::kNone : ViolationReason::kPermission;
  }
};

enum class What : u8 { kMap, kUnmap, kProtect, kTouch, kSwitch, kAsk };
struct Step {
  What what;
  u64 page = 0;
  u64 count = 1;
  Perm perm{};
  Access access{};
  const char* text;
};
constexpr Step kSteps[] = {
    {What::kMap, 0, 1, kPermRW, {}, "map 0 rw"},
    {What::kMap, 1, 1, kPermRW, {}, "map 1 rw"},
    {What::kMap, 1, 2, kPermNone, {}, "map 1-2 none"},
    {What::kProtect, 2, 1, kPermR, {}, "protect 2 r"},
    {What::kUnmap, 0, 1, {}, {}, "unmap 0"},
    {What::kUnmap, 1, 1, {}, {}, "unmap 1"},
    {What::kUnmap, 1, 2, {}, {}, "unmap 1-2"},
    {What::kUnmap, 0, 3, {}, {}, "unmap all"},
    {What::kProtect, 0, 1, kPermR, {}, "protect 0 r"},
    {What::kProtect, 1, 2, kPermRW, {}, "protect 1-2 rw"},
    {What::kTouch, 0, 1, {}, Access::kWrite, "write 0"},
    {What::kTouch, 1, 1, {}, Access::kWrite, "write 1"},
    {What::kTouch, 2, 1, {}, Access::kRead, "read 2"},
    {What::kSwitch, 0, 1, {}, {}, "switch"},
    {What::kAsk, 0, 1, {}, {}, "ask"},
};
constexpr unsigned kKinds = std::size(kSteps);

class Interleavings : public testing::Test {
 protected:
  // Empty: as the reference says.
  std::string run(const std::array<u8, kLength>& sequence) {
    const SpaceId space = guest_.make_active();
    Reference reference;
    u64 written = 0;
    for (const u8 kind : sequence) {
      if (!step(space, kSteps[kind], reference, ++written)) return failed(sequence, kSteps[kind].text);
    }
    for (u64 page = 0; page < kPages; ++page) {
      if (!touches(reference, page, Access::kRead, 0)) return failed(sequence, "a page at the end");
    }
    guest_.ops().space_activate(SpaceId::kKernel);
    guest_.ops().space_destroy(space);
    return {};
  }

 private:
  bool step(SpaceId space, const Step& step, Reference& reference, u64 number) {
    const auto each = [&](auto change) {
      for (u64 n = step.page; n < step.page + step.count; ++n) change(reference.pages[n]);
    };
    switch (step.what) {
      case What::kMap:
        if (!reference.all(step.page, step.count, false)) return true;
        each([&](auto& page) { page = {true, step.perm, 0}; });
        return guest_.ops().region_map(space, anonymous(step.page, step.count, step.perm), 0).has_value();
      case What::kUnmap:
        each([&](auto& page) { page = {}; });
        return guest_.ops().region_unmap(space, at(step.page, step.count)).has_value();
      case What::kProtect:
        if (!reference.all(step.page, step.count, true)) return true;
        {
          bool gained = true;
          each([&](auto& page) { gained = gained && step.perm.contains(page.perm); });
          each([&](auto& page) { page.perm = step.perm; });
          return guest_.ops()
              .region_protect(space, at(step.page, step.count), step.perm,
                              gained ? RightsChange::kFromNone : RightsChange::kAny)
              .has_value();
        }
      case What::kTouch:
        return touches(reference, step.page, step.access, number);
      case What::kSwitch:
        guest_.ops().space_activate(SpaceId::kKernel);
        guest_.ops().space_activate(space);
        return true;
      case What::kAsk:
        return guest_.ops().region_resident(space, at(0, 1)).has_value();
    }
    return false;
  }
  bool touches(Reference& reference, u64 page, Access access, u64 number) {
    u64 word = number;
    const ViolationReason reason = guest_.touch(kA + pages_to_bytes(page), access, &word);
    if (reason != reference.touch(page, access)) return false;
    if (reason != ViolationReason::kNone) return true;
    if (access == Access::kWrite) reference.pages[page].word = number;
    return word == reference.pages[page].word;
  }
  static std::string failed(const std::array<u8, kLength>& sequence, const char* where) {
    std::string text = std::string("at ") + where + ", of";
    for (const u8 kind : sequence) text += std::string(" | ") + kSteps[kind].text;
    return text;
  }

  QueueGuest guest_{1000};
};

TEST_F(Interleavings, AllOfThem) {
  std::array<u8, kLength> sequence{};
  for (bool more = true; more;) {
    const std::string failure = run(sequence);
    ASSERT_EQ(failure, "");
    more = false;
    for (u8& kind : sequence) {
      if (++kind != kKinds) {
        more = true;
        break;
      }
      kind = 0;
    }
  }
}

}  // namespace
}  // namespace nopte::test
