#include "experiments/plugins/code.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "experiments/plugins/qemu_plugin_api.h"

namespace plugins {

int version_of_this_qemu() {
  if (dlsym(RTLD_DEFAULT, "qemu_plugin_n_vcpus") != nullptr) return 1;
  return dlsym(RTLD_DEFAULT, "qemu_plugin_read_memory_vaddr") != nullptr ? 4 : 2;
}

size_t copy_instruction(const qemu_plugin_insn* instruction, uint8_t* bytes) {
  static void* function = dlsym(RTLD_DEFAULT, "qemu_plugin_insn_data");
  const size_t size = std::min(qemu_plugin_insn_size(instruction), kInstructionBytes);
  if (interface_version >= 3) {  // fills a buffer
    return reinterpret_cast<size_t (*)(const qemu_plugin_insn*, void*, size_t)>(function)(instruction, bytes,
                                                                                          size);
  }
  std::memcpy(bytes, reinterpret_cast<const void* (*)(const qemu_plugin_insn*)>(function)(instruction), size);
  return size;
}

}  // namespace plugins
