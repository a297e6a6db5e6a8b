// What the modes share whose guests say what they do to their tables.
#pragma once

#include "hv-mm/shadow/shadow_mode.h"
#include "hv-mm/shadow/told/told_mmu.h"
#include "hv-mm/shadow/trapped/trapped_mode.h"

namespace nopte::hv {

class ToldMode : public ShadowMode {
 public:
  ToldMode() : ShadowMode(mmu_) {}
  [[nodiscard]] ToldMmu& mmu() { return mmu_; }

 protected:
  ~ToldMode() = default;

 private:
  void on_refused_store(Vcpu&, Gva, Gpa) final {}  // no table is protected

  ToldMmu mmu_;
};

// Starts a `Mode`, which has kName and kFeature. A guest that is not offered its interface tells nothing.
template <class Mode>
StartResult start_told(const Launch& launch) {
  if (launch.options.offer.hidden_features & Mode::kFeature) return start_trapped(launch, Mode::kName);
  const auto mode = launch.own->make<Mode>();
  if (!mode) return std::unexpected("too little memory for shadow tables");
  return start_shadowed(launch, **mode);
}

}  // namespace nopte::hv
