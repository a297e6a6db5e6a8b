// An engine of any sink and format behind one type, so that a test is compiled once, and an engine once for
// all tests (kind_of.h). The methods are pt::Engine's, and so is what they say.
#pragma once

#include <expected>

#include "native-fallback/engine/checkpoint.h"
#include "native-fallback/frames/frame_table.h"
#include "native-fallback/tables/counters.h"
#include "native-fallback/tables/entry.h"
#include "pvops/mm_ops.h"
#include "pvops/region_spec.h"

namespace nopte::model {

using pt::Frame;

// pt::Engine::Installed, without its format.
struct Installed {
  Frame frame;
  bool present;
  unsigned level;
  Perm rights;
  bool user;
  bool touched;  // or it is not known
};

class AnyEngine {
 public:
  using Checkpoint = pt::Checkpoint;
  using FaultResult = std::expected<void, ViolationReason>;
  static constexpr u64 kMaxObjectPages = u64{1} << 36;

  virtual ~AnyEngine() = default;

  virtual Result<void> map_kernel_frames(Gva begin, pt::FrameRange frames, Perm perm) = 0;
  virtual Result<void> map_kernel_image(Gva begin, u64 pages, std::span<const u8> contents, Perm perm) = 0;
  virtual Result<void> map_direct(pt::FrameRange range) = 0;
  virtual void set_kernel_regions(const RegionSource& windows) = 0;
  virtual void shut_down() = 0;

  virtual Result<SpaceId> space_create(const RegionSource& promised) = 0;
  virtual Result<SpaceId> space_clone(SpaceId parent, const RegionSource& promised) = 0;
  virtual Result<void> space_destroy(SpaceId space, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> space_activate(SpaceId space) = 0;

  virtual Result<void> region_unmapped(SpaceId space, VaRange range, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> region_protected(SpaceId space, VaRange range, Perm perm,
                                        Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> region_moved(SpaceId space, VaRange from, Gva to) = 0;
  virtual Result<void> make_ready(SpaceId space, VaRange whole) = 0;
  virtual Result<void> region_advise(SpaceId space, VaRange range, Advice advice,
                                     Checkpoint* checkpoint = nullptr) = 0;

  virtual Result<ObjectId> object_create(u64 pages, const ObjectMappings& mappings) = 0;
  virtual Result<ObjectId> object_adopt(pt::FrameRange contents, const ObjectMappings& mappings) = 0;
  virtual Result<void> object_resize(ObjectId object, u64 pages, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> object_destroy(ObjectId object, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<u64> object_pages(ObjectId object) const = 0;
  virtual Result<u8*> object_pointer(ObjectId object, u64 page) = 0;

  virtual Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<u8*> kernel_pointer(Gva va) = 0;

  virtual FaultResult fault(SpaceId space, Gva va, Access access, pt::Privilege privilege) = 0;

  virtual const pt::EngineCounters& counters() const = 0;
  virtual Result<u64> region_resident(SpaceId space, VaRange range) const = 0;
  virtual Result<InstalledPages> region_installed(SpaceId space, VaRange& range) const = 0;
  virtual std::optional<Installed> peek(SpaceId space, Gva va) const = 0;
  virtual Result<Frame> root(SpaceId space) const = 0;
  virtual void for_each_installed(SpaceId space, FunctionRef<void(Gva, const Installed&)> visit) const = 0;
};

}  // namespace nopte::model
