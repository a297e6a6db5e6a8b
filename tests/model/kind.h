// What the kinds of world share: memory, and which frames of it the engine may take. A kind adds the sink,
// the processor that the sink feeds (`machine`), and, where there is a hypervisor, that. Users: World
// (world.h), and the homes of the conformance cases.
#pragma once

#include "tests/model/machine.h"

namespace nopte::model {

struct KindBase {
  KindBase(u64 first_frame, u64 frames_count, u64 spare = 0) : memory(first_frame, frames_count, spare) {}

  // Somebody else's frames (a boot image, an initramfs), and those that are the engine's.
  [[nodiscard]] pt::FrameRange outside() const { return pt::FrameRange::of(memory.range().begin, kOutside); }
  [[nodiscard]] pt::FrameRange pool() const { return {outside().end, memory.range().end}; }
  // Makes the engine's kernel space, and there what this guest's kernel needs. Errors: Engine::init().
  template <class Engine>
  Result<void> init(Engine& engine) {
    return engine.init();
  }
  // Frames that init() adopts.
  static constexpr u64 kAdopted = 0;
  // The engine's kernel root runs; and it is going to run no more, before Engine::shut_down().
  void booted() {}
  void ends(pt::Frame) {}
  // An entry of a table in use that is not the engine's.
  static constexpr bool is_foreign(unsigned, unsigned) { return false; }
  // So far: what reached the hypervisor.
  [[nodiscard]] u64 exits() const { return 0; }
  // What must hold in the hypervisor after every operation stops the test where it does not.
  void check() {}

  static constexpr u64 kOutside = 4;
  Memory memory;
  pt::FrameTable frames;
};

}  // namespace nopte::model
