// All kinds of world: which sink and format, and who walks the tables. Each is compiled once (kinds/*.cc).
#pragma once

#include <array>
#include <memory>
#include <string>

#include "tests/model/any_kind.h"

namespace nopte::model {

struct KindRow {
  const char* name;
  // The kernel maps all memory, by Engine::map_direct().
  bool direct_map;
  // Where what is told is gathered, how many entries one exit tells of; 0: nothing is.
  u64 entries_per_exit;
  std::unique_ptr<AnyKind> (*make)(u64 frames, unsigned cpus);
};

extern const KindRow kStoreInGuest, kStoreInHypervisor, kNested, kFiveLevelStore, kPaeStore, kTwoLevelStore,
    kLguestLike, kToldByKvmPv, kToldByVmi, kToldByLguest, kShadowed, kXen;

inline const std::array<const KindRow*, 12> kAllKinds = {
    &kStoreInGuest,  &kStoreInHypervisor, &kXen,       &kLguestLike,   &kFiveLevelStore, &kPaeStore,
    &kTwoLevelStore, &kToldByKvmPv,       &kToldByVmi, &kToldByLguest, &kShadowed,       &kNested};

// The name of a test over a kind: INSTANTIATE_TEST_SUITE_P's last argument.
inline constexpr auto kKindName = [](const auto& test) {
  std::string name = test.param->name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
};

}  // namespace nopte::model
