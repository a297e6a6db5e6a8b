// Which function an instruction belongs to: what experiments/lib/profile_symbols.py wrote about the images
// and the guest's programs, as numbers whose names it keeps.
//
// Lines of words; numbers are hexadecimal, functions decimal:
//   hypervisor BEGIN END             physical addresses of the hypervisor's image
//   host                             the machine is a hypervisor's, with its programs: what is not below a
//   VMRUN is its ring0 BEGIN END                  addresses of a hypervisor below a kernel at ring 3, in
//   every address space image hypervisor | kernel        begins an image; its functions follow program FILE
//   begins a program, whose segments and functions follow segment ADDRESS OFFSET BYTES     of code: where it
//   is loaded, and where it lies in FILE function BEGIN END NUMBER [WHAT...]   WHAT: whole | mark | switch |
//   start | bounce | vector=N
#pragma once

#include <cstdint>
#include <istream>
#include <span>
#include <string>
#include <vector>

namespace profiler {

// Functions that the table gives when it has none.
enum : uint32_t {
  kUnknownFirmware = 0,
  kUnknownHypervisor = 1,
  kUnknownKernel = 2,
  kUnknownProgram = 3,
  kFirstNamed = 4,
  kFirstExit = 1 << 30,  // plus an exit code: what the hypervisor does for one
};

enum class World : uint8_t {
  kHypervisor,
  kRing0,  // a hypervisor that traps lead to; what it hands on enters a kernel above it
  kKernel,
  kProgram
};

struct Entry {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint32_t function = kUnknownFirmware;
  bool whole = false;      // of a program whose functions are not known: calls inside are not seen
  bool is_mark = false;    // the kernel's function that takes a mark
  bool is_switch = false;  // the kernel's function that changes stacks
  bool is_start = false;   // where a new stack's first function begins
  bool is_bounce = false;  // where a hypervisor at ring 0 hands on what entered it
  int vector = -1;         // the entry of an exception or interrupt
};

// Where an instruction was found.
struct Place {
  World world = World::kKernel;
  Entry entry;
  uint32_t program = 0;  // 1 and above; 0: none, or an unknown one
};

class Table {
 public:
  // Reads the lines above. An empty string, or what is wrong.
  std::string read(std::istream& lines);

  // `physical`: where the code lies; the images' addresses may be the same. `code`: its bytes, as far as they
  // are known, by which programs are told apart.
  [[nodiscard]] Place find(uint64_t address, uint64_t physical, std::span<const uint8_t> code);
  // What is not below a VMRUN is the hypervisor's.
  [[nodiscard]] bool has_host() const { return has_host_; }
  [[nodiscard]] Place find_in_host(uint64_t address) const;

 private:
  struct Segment {
    uint64_t address;
    std::vector<uint8_t> bytes;
  };
  struct Image {
    std::vector<Segment> segments;
    std::vector<Entry> entries;  // by address
  };

  static const Entry* entry_at(const Image& image, uint64_t address);
  [[nodiscard]] static bool holds(const Image& image, uint64_t address, std::span<const uint8_t> code);
  Place in_program(uint64_t address, std::span<const uint8_t> code);

  uint64_t hypervisor_begin_ = 0;
  uint64_t hypervisor_end_ = 0;
  uint64_t ring0_begin_ = 0;
  uint64_t ring0_end_ = 0;
  bool has_host_ = false;
  Image hypervisor_;
  Image kernel_;
  std::vector<Image> programs_;
  uint32_t last_program_ = 1;
};

}  // namespace profiler
