// What a conformance case works with: spaces, objects and memory, through MmOps alone. The scene keeps the
// promised lists as a guest kernel would, and at its end gives everything back: free memory must be what it
// was.
//
// Each call may take one exit and so may each access that is not called warm: the sum is the case's bound on
// memory exits in mode vma (natively and nested there are none).
//
// Freestanding and without allocation: the same cases run hosted and in the booted test image.
#pragma once

#include <array>
#include <span>

#include "pvops/mm_ops.h"

namespace nopte::conformance {

// Memory as a program or the kernel touches it in a home. kOk, kBadAddress, kPastEnd or kNoMemory.
class Memory {
 public:
  virtual Result<u64> load(Gva va) = 0;  // 8 bytes, aligned
  virtual Status store(Gva va, u64 value) = 0;
  virtual u64 kernel_load(Gva va) = 0;  // committed kernel memory
  virtual void kernel_store(Gva va, u64 value) = 0;
  virtual Result<u64> window_load(Gva va) = 0;  // kernel windows
  virtual Status window_store(Gva va, u64 value) = 0;
  // For a home that keeps the kernel space's promises itself.
  virtual void window_promised(const RegionSpec&) {}
  virtual void window_withdrawn(VaRange) {}

 protected:
  ~Memory() = default;
};

// The promises of one space, ordered by address.
class PromiseList final : public RegionSource {
 public:
  static constexpr u64 kMost = 48;
  [[nodiscard]] std::optional<RegionSpec> find(Gva va) const override;
  [[nodiscard]] std::optional<RegionSpec> find_next(Gva va) const override;
  [[nodiscard]] std::span<const RegionSpec> list() const { return {specs_.data(), count_}; }
  void add(const RegionSpec& spec);
  void cut(VaRange range);  // takes out what lies in range, splitting at its ends
  void set_perm(VaRange range, Perm perm);
  void move(VaRange from, Gva to);
  void clear() { count_ = 0; }
  void copy(const PromiseList& other) { specs_ = other.specs_, count_ = other.count_; }

 private:
  void split_at(Gva va);
  std::array<RegionSpec, kMost> specs_{};
  u64 count_ = 0;
};

class Scene {
 public:
  static constexpr u64 kSpaces = 6;
  static constexpr u64 kObjects = 4;
  // Where cases map: page 0 of the arena is 5 pages below a 1 GiB boundary.
  static constexpr Gva kArena{0x2000'0000'0000 + (u64{1} << 30) - 5 * kPageBytes};
  static constexpr Gva at(u64 page) { return kArena + pages_to_bytes(page); }
  static constexpr VaRange span(u64 page, u64 pages) { return VaRange::of_pages(at(page), pages); }

  void begin(const MmOps& ops, Memory& memory);
  // Gives everything back. False: memory is missing.
  [[nodiscard]] bool end();

  // --- calls: each one MmOps call, the promised list kept ---
  Result<SpaceId> create();
  Result<SpaceId> clone(SpaceId parent);
  void destroy(SpaceId space);
  void activate(SpaceId space);
  SpaceId create_active();  // both; kKernel when there is no memory
  Status map(SpaceId space, u64 page, u64 pages, Perm perm = kPermRW);
  Status map_object(SpaceId space, u64 page, u64 pages, ObjectId object, u64 object_page, Sharing sharing,
                    Perm perm = kPermRW);
  Status unmap(SpaceId space, u64 page, u64 pages);
  Status protect(SpaceId space, u64 page, u64 pages, Perm perm);
  Status move(SpaceId space, u64 page, u64 pages, u64 to);
  Status advise(SpaceId space, u64 page, u64 pages, Advice advice);
  Result<ObjectId> object(u64 pages);
  Status resize(ObjectId object, u64 pages);
  Status destroy_object(ObjectId object);
  Status map_window(ObjectId object, u64 window_page, u64 pages, u64 object_page);
  Status unmap_window(u64 window_page, u64 pages);
  Result<Gva> kmem(u64 pages);
  void kmem_free(Gva va, u64 pages);
  u64 free_pages();

  // --- accesses in the active space; page of the arena and word in it ---
  Status store(u64 page, u64 value, u64 word = 0);
  Result<u64> load(u64 page, u64 word = 0);
  // Warm: the page was used so since it was promised; no exit is allowed.
  Status warm_store(u64 page, u64 value, u64 word = 0);
  Result<u64> warm_load(u64 page, u64 word = 0);
  Result<u64> window_load(u64 window_page);
  Status window_store(u64 window_page, u64 value);
  Memory& memory() { return *memory_; }

  // Fails the case with this text unless `condition`; the first failure stays.
  void expect(bool condition, const char* what) {
    if (!condition && failure_ == nullptr) failure_ = what;
  }
  [[nodiscard]] const char* failure() const { return failure_; }
  [[nodiscard]] u64 exits_allowed() const { return exits_allowed_; }

 private:
  struct Space {
    bool used = false;
    SpaceId id = SpaceId::kKernel;
    PromiseList promised;
  };
  struct Object final : ObjectMappings {
    void for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const override;
    const Scene* scene = nullptr;
    bool used = false;
    ObjectId id = ObjectId::kNone;
  };
  Space* slot(SpaceId space);
  Space* free_slot();

  const MmOps* ops_ = nullptr;
  Memory* memory_ = nullptr;
  std::array<Space, kSpaces> spaces_{};
  std::array<Object, kObjects> objects_{};
  SpaceId active_ = SpaceId::kKernel;
  u64 exits_allowed_ = 0;
  u64 free_before_ = 0;
  const char* failure_ = nullptr;

 public:
  // The kernel space's promises: the home hands them to its engine.
  PromiseList windows;
};

struct Case {
  const char* name;
  void (*run)(Scene& scene);
};

// Every case, in order.
std::span<const Case> cases();

// Runs one case in a scene; exits_allowed() is then its bound, ending included. Null: passed, else what
// failed.
const char* run_case(const Case& row, Scene& scene, const MmOps& ops, Memory& memory);

}  // namespace nopte::conformance
