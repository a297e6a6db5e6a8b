// What a conformance case works with: spaces, objects and memory, through MmOps alone. The scene keeps the
// promised lists as a guest kernel would, and at its end gives everything back: free memory must be what it
// was. It adds up what the case may cost in exits (exit_budget.h), and checks by itself that each refusal
// names the address of the access.
//
// Freestanding and without allocation: the same cases run hosted and in the booted test image.
#pragma once

#include "tests/conformance/case.h"
#include "tests/conformance/exit_budget.h"
#include "tests/conformance/memory.h"
#include "tests/conformance/promise_list.h"

namespace nopte::conformance {

class Scene {
 public:
  static constexpr u64 kSpaces = 72;  // more than one page of the engine's id table
  static constexpr u64 kObjects = 6;
  // Where cases map: page 0 of the arena is 5 pages below a 1 GiB boundary.
  static constexpr Gva kArena{0x2000'0000'0000 + (u64{1} << 30) - 5 * kPageBytes};
  // The first page of the arena at a 2 MiB boundary.
  static constexpr u64 kAligned = 5;
  static constexpr Gva at(u64 page) { return kArena + pages_to_bytes(page); }
  static constexpr VaRange span(u64 page, u64 pages) { return VaRange::of_pages(at(page), pages); }
  static constexpr Gva window_at(u64 page) { return kWindowRange.begin + pages_to_bytes(page); }

  void begin(const MmOps& ops, Memory& memory, const ExitCosts& costs);
  // Gives everything back. False: memory is missing.
  [[nodiscard]] bool end();

  // --- calls: each one MmOps call, the promised list kept ---
  Result<SpaceId> create();
  Result<SpaceId> clone(SpaceId parent);
  void destroy(SpaceId space);
  void activate(SpaceId space);
  void switch_to(SpaceId space, SpaceId gone);
  SpaceId create_active();  // both; kKernel, and the case fails, when there is no memory
  Status map(SpaceId space, u64 page, u64 pages, Perm perm = kPermRW);
  Status map_object(SpaceId space, u64 page, u64 pages, ObjectId object, u64 object_page, Sharing sharing,
                    Perm perm = kPermRW);
  Status map_region(SpaceId space, const RegionSpec& spec);
  // With flags of region_map, anonymous.
  Status map_with(SpaceId space, u64 page, u64 pages, u32 flags, Perm perm = kPermRW);
  Status unmap(SpaceId space, u64 page, u64 pages) { return unmap_range(space, span(page, pages)); }
  Status unmap_range(SpaceId space, VaRange range);
  Status protect(SpaceId space, u64 page, u64 pages, Perm perm) {
    return protect_range(space, span(page, pages), perm);
  }
  Status protect_range(SpaceId space, VaRange range, Perm perm);
  Status move(SpaceId space, u64 page, u64 pages, u64 to) {
    return move_range(space, span(page, pages), at(to));
  }
  Status move_range(SpaceId space, VaRange from, Gva to);
  Status advise(SpaceId space, u64 page, u64 pages, Advice advice) {
    return advise_range(space, span(page, pages), advice);
  }
  Status advise_range(SpaceId space, VaRange range, Advice advice);
  // Advice on how the range will be used; kOk, too, where nobody wants to know.
  Status use(SpaceId space, u64 page, u64 pages, Advice advice) {
    return use_range(space, span(page, pages), advice);
  }
  Status use_range(SpaceId space, VaRange range, Advice advice);
  Result<u64> count(SpaceId space, u64 page, u64 pages);  // of those that are installed
  Result<u64> resident(SpaceId space, u64 page, u64 pages);
  Result<ObjectId> object(u64 pages);
  Status resize(ObjectId object, u64 pages);
  Status destroy_object(ObjectId object);
  Status map_window(ObjectId object, u64 window_page, u64 pages, u64 object_page, Perm perm = kPermRW);
  Status unmap_window(u64 window_page, u64 pages);
  Result<Gva> kmem(u64 pages);
  void kmem_free(Gva va, u64 pages);  // nothing for what make_kmem() did not get
  u64 free_pages();

  // --- what cases begin with; the case fails where there is no memory ---
  ObjectId make_object(u64 pages);
  SpaceId make_clone(SpaceId parent);
  Gva make_kmem(u64 pages);
  // Takes all of free memory for pages of a region of the space, far from where cases work.
  void exhaust(SpaceId space);
  // Gives so many of those pages back.
  void relieve(SpaceId space, u64 pages);
  // A region of one page that nobody will touch: many more of them than a list holds.
  Status map_unlisted(SpaceId space, u64 page, Perm perm);

  // --- accesses in the active space; page of the arena and word in it. Refused: the violation's reason ---
  Status store(u64 page, u64 value, u64 word = 0) { return store_at(at(page) + word * 8, value); }
  Result<u64> load(u64 page, u64 word = 0) { return load_at(at(page) + word * 8); }
  Status execute(u64 page, u64 word = 0) { return execute_at(at(page) + word * 8); }
  // Warm: the page was used so since it was promised.
  Status warm_store(u64 page, u64 value, u64 word = 0) { return warm_store_at(at(page) + word * 8, value); }
  Result<u64> warm_load(u64 page, u64 word = 0) { return warm_load_at(at(page) + word * 8); }
  Result<u64> window_load(u64 window_page) { return load_at(window_at(window_page)); }
  Status window_store(u64 window_page, u64 value) { return store_at(window_at(window_page), value); }
  Result<u64> load_at(Gva va);
  Status store_at(Gva va, u64 value);
  Status execute_at(Gva va);
  Result<u64> warm_load_at(Gva va);
  Status warm_store_at(Gva va, u64 value);

  // Fails the case with this text unless `condition`; the first failure stays.
  void expect(bool condition, const char* what) {
    if (!condition && failure_ == nullptr) failure_ = what;
  }
  [[nodiscard]] const char* failure() const { return failure_; }
  [[nodiscard]] u64 exits_allowed() const { return budget_.allowed(); }
  // The calls made, and whether an access was refused.
  [[nodiscard]] CallSet used() const { return used_; }

 private:
  struct Space {
    bool used = false;
    SpaceId id = SpaceId::kKernel;
    PromiseList promised;
    u64 installed = 0;  // at most so many pages
  };
  struct Object final : ObjectMappings {
    void for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const override;
    const Scene* scene = nullptr;
    bool used = false;
    ObjectId id = ObjectId::kNone;
  };
  // Null: a case may name a space that is gone.
  Space* slot(SpaceId space);
  Space* free_slot();
  PromiseList* promises(SpaceId space);
  void called(abi::Call call, u64 entries = 0);
  // At most so many pages.
  u64 installed(SpaceId space, VaRange range);
  u64 installed_ahead(SpaceId space, VaRange range);
  u64 installed_anywhere() const;
  void touched(Gva va);
  Status populate_singly(SpaceId space, u64 page, u64 pages);
  // What is the same for every access: where it was refused.
  Status checked(Gva va, Status status);
  Result<u64> loaded(Gva va);

  const MmOps* ops_ = nullptr;
  Memory* memory_ = nullptr;
  std::array<Space, kSpaces> spaces_{};
  std::array<Object, kObjects> objects_{};
  u64 kernel_installed_ = 0;
  SpaceId active_ = SpaceId::kKernel;
  ExitBudget budget_;
  CallSet used_;
  u64 free_before_ = 0;
  u64 relieved_ = 0;  // pages of what exhaust() took
  const char* failure_ = nullptr;

 public:
  // The kernel space's promises: the home hands them to its engine.
  PromiseList windows;
};

}  // namespace nopte::conformance
