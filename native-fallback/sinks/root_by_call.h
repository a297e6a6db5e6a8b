// A processor whose root is loaded by a call of a hypervisor's interface, not by CR3.
#pragma once

#include "native-fallback/sinks/store_sink.h"

namespace nopte::pt {

// Base: what it is otherwise. `load` is callable as load(PhysAddr).
template <Processor Base, auto load>
class RootByCall : public Base {
 public:
  void load_root(PhysAddr root) {
    if (root == root_) return;
    root_ = root;
    load(root);
  }
  [[nodiscard]] bool runs(PhysAddr root) const { return root == root_; }
  [[nodiscard]] PhysAddr root() const { return root_; }

 private:
  PhysAddr root_;
};

}  // namespace nopte::pt
