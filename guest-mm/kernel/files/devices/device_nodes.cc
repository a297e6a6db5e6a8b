#include "guest-mm/kernel/files/devices/device_nodes.h"

#include "guest-mm/kernel/files/devices/memory_devices.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/tty/console.h"
#include "guest-mm/kernel/tty/pty.h"

namespace nopte::guest::files {

namespace {

struct Device {
  std::string_view name;
  u64 number;
  u32 permissions;
  ErrnoOr<Ref<File>> (*open)(Ref<Inode> node, u32 flags);
};

template <Ref<File> (*kMake)(Ref<Inode> node, u32 flags)>
ErrnoOr<Ref<File>> plain(Ref<Inode> node, u32 flags) {
  Ref<File> file = kMake(std::move(node), flags & ~kOpenNoTty);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

constexpr Device kDevices[] = {
    {"null", device_number(1, 3), 0666, plain<open_null>},
    {"zero", device_number(1, 5), 0666, plain<open_zero>},
    {"full", device_number(1, 7), 0666, plain<open_full>},
    {"random", device_number(1, 8), 0666, plain<open_random>},
    {"urandom", device_number(1, 9), 0666, plain<open_urandom>},
    {"ttyS0", device_number(4, 64), 0600, tty::open_serial},
    {"tty", device_number(5, 0), 0666, tty::open_own_terminal},
    {"console", device_number(5, 1), 0600, tty::open_console},
    {"ptmx", device_number(5, 2), 0666, tty::open_master},
    // Counter marks (PlatformOps::mark): absent on Linux. The number is from the range for local use.
    {"nopte-mark", device_number(240, 0), 0222, plain<open_mark>},
};

constexpr std::string_view kLinks[][2] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

bool add(Directory& dev, std::string_view name, u32 mode, u64 number, std::string_view target) {
  static_cast<void>(dev.unlink(name));
  const ErrnoOr<Ref<Inode>> node = tmpfs_create(mode, number, target);
  return node && dev.link(name, *node) == 0;
}

// What the initramfs has below it stays.
bool add_shm(Directory& dev) {
  constexpr std::string_view kName = "shm";
  constexpr u32 kPermissions = 01777;
  if (const ErrnoOr<Ref<Inode>> found = dev.lookup(kName); found && (*found)->is_directory()) {
    (*found)->mode = kModeDirectory | kPermissions;
    return true;
  }
  return add(dev, kName, kModeDirectory | kPermissions, 0, {});
}

}  // namespace

ErrnoOr<Ref<File>> DeviceNode::open(u32 flags) {
  for (const Device& candidate : kDevices) {
    if (candidate.number == device && (mode & kModeTypeMask) == kModeCharacter) {
      return candidate.open(Ref<Inode>(this), flags);
    }
  }
  return ErrnoFail(kENXIO);
}

bool make_device_nodes(Directory& dev) {
  for (const Device& device : kDevices) {
    if (!add(dev, device.name, kModeCharacter | device.permissions, device.number, {})) {
      return false;
    }
  }
  if (!dev.lookup("shm")) {
    constexpr u32 kForAll = 01777;
    if (!add(dev, "shm", kModeDirectory | kForAll, 0, {})) {
      return false;
    }
  }
  for (const auto& [name, target] : kLinks) {
    if (!add(dev, name, kModeSymlink, 0, target)) {
      return false;
    }
  }
  const Ref<Inode> terminals = tty::make_pts_directory();
  static_cast<void>(dev.unlink("pts"));
  return terminals && dev.link("pts", terminals) == 0 && add_shm(dev);
}

}  // namespace nopte::guest::files
