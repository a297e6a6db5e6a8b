#include "guest-mm/kernel/files/archive/cpio_unpack.h"

#include <algorithm>
#include <boost/intrusive/set.hpp>

#include "guest-mm/kernel/files/archive/cpio.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/log.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::files {

namespace {

constexpr char kNoMemory[] = "not enough memory to unpack it";
constexpr u64 kSymlinkBytes = 4096;
constexpr u64 kCopyBytes = 1 << 20;

// A file with several names: the archive repeats device and inode number.
struct LinkedFile : boost::intrusive::set_base_hook<> {
  u64 device = 0;
  u64 number = 0;
  Ref<Inode> inode;
  friend bool operator<(const LinkedFile& a, const LinkedFile& b) {
    return a.device != b.device ? a.device < b.device : a.number < b.number;
  }
};

class Unpacker {
 public:
  Unpacker(Ref<Archive> archive, u64 bytes, Directory& root)
      : archive_(std::move(archive)), bytes_(bytes), root_(root) {}
  ~Unpacker() {
    linked_.clear_and_dispose([](LinkedFile* file) { destroy(file); });
  }

  // What is wrong, or null. Then entry_offset() tells where.
  const char* run() {
    auto read = [this](u64 offset, void* to, u64 bytes) {
      const Result<char*> from = archive_->prepare(offset, bytes, Access::kRead);
      return from && arch::copy_fallible(to, *from, bytes).has_value();
    };
    const UniquePtr<CpioReader> reader(make<CpioReader>(bytes_, CpioReader::ReadBytes(read)));
    if (!reader) {
      return "not enough memory";
    }
    for (;;) {
      const auto entry = reader->next();
      entry_offset_ = reader->entry_offset();
      if (!entry) {
        return entry.error();
      }
      if (!*entry) {
        return clear_tail() ? nullptr : kNoMemory;
      }
      if (const char* problem = unpack(**entry); problem != nullptr) {
        return problem;
      }
    }
  }
  [[nodiscard]] u64 entry_offset() const { return entry_offset_; }

 private:
  const char* unpack(const CpioEntry& entry);
  const char* fill(Inode& inode, const CpioEntry& entry);
  // Lets the file show its data where it lies.
  const char* show(TmpfsFile& file, const CpioEntry& entry);
  // Zeroes what follows the last shown file in its page: headers that have been read by then. False: no
  // memory.
  bool clear_tail();
  // The directory that the name's last component belongs into, made where it is missing; null: no memory or a
  // component that is no directory.
  Directory* parent_of(std::string_view& name);
  Directory* walk_to_parent(std::string_view& name);
  LinkedFile* find_linked(const CpioEntry& entry);
  static void set_attributes(Inode& inode, const CpioEntry& entry);

  Ref<Archive> archive_;
  u64 bytes_;
  Directory& root_;
  u64 tail_ = 0;  // where the last shown file ends
  u64 entry_offset_ = 0;
  boost::intrusive::set<LinkedFile> linked_;
  // An archive has what lies in a directory side by side.
  char last_path_[256];
  u64 last_path_bytes_ = 0;
  Ref<Inode> last_directory_;
};

u64 archive_device(const CpioEntry& entry) { return u64{entry.device_major} << 32 | entry.device_minor; }

LinkedFile* Unpacker::find_linked(const CpioEntry& entry) {
  LinkedFile key;
  key.device = archive_device(entry);
  key.number = entry.inode;
  const auto found = linked_.find(key);
  return found == linked_.end() ? nullptr : &*found;
}

void Unpacker::set_attributes(Inode& inode, const CpioEntry& entry) {
  inode.mode = (inode.mode & kModeTypeMask) | (entry.mode & kModePermMask);
  inode.uid = entry.uid;
  inode.gid = entry.gid;
  inode.accessed_ns = inode.modified_ns = inode.changed_ns = u64{entry.modified_s} * 1'000'000'000;
}

Directory* Unpacker::parent_of(std::string_view& name) {
  const u64 cut = name.rfind('/');
  const bool is_below = cut != std::string_view::npos && cut <= sizeof(last_path_) && cut + 1 < name.size();
  const std::string_view path = is_below ? name.substr(0, cut) : std::string_view();
  if (is_below && last_directory_ && path == std::string_view(last_path_, last_path_bytes_)) {
    name.remove_prefix(cut + 1);
    return last_directory_->as_directory();
  }
  Directory* const found = walk_to_parent(name);
  if (is_below && found != nullptr) {
    last_path_bytes_ = path.copy(last_path_, sizeof(last_path_));
    last_directory_ = Ref<Inode>(found);
  }
  return found;
}

Directory* Unpacker::walk_to_parent(std::string_view& name) {
  Directory* here = &root_;
  for (;;) {
    while (name.starts_with('/')) {
      name.remove_prefix(1);
    }
    const u64 slash = name.find('/');
    if (slash == std::string_view::npos || name.find_first_not_of('/', slash) == std::string_view::npos) {
      name = name.substr(0, slash);
      return here;
    }
    const std::string_view part = name.substr(0, slash);
    name.remove_prefix(slash + 1);
    if (part == "." || part.size() > kNameBytes || part == "..") {
      if (part == ".") {
        continue;
      }
      return nullptr;
    }
    ErrnoOr<Ref<Inode>> child = here->lookup(part);
    if (!child) {
      child = here->create(kModeDirectory | 0755, 0, {});
      if (!child || here->link(part, *child) != 0) {
        return nullptr;
      }
    }
    here = (*child)->as_directory();
    if (here == nullptr) {
      return nullptr;
    }
  }
}

const char* Unpacker::fill(Inode& inode, const CpioEntry& entry) {
  const ErrnoOr<Ref<File>> file = inode.open(kOpenReadWrite);
  if (!file) {
    return kNoMemory;
  }
  for (u64 done = 0; done < entry.data_bytes;) {
    const u64 piece = std::min(entry.data_bytes - done, kCopyBytes);
    const Result<char*> from = archive_->prepare(entry.data_offset + done, piece, Access::kRead);
    if (!from || (*file)->write(IoBuffer::kernel(static_cast<const void*>(*from)), piece, done, nullptr) !=
                     static_cast<i64>(piece)) {
      return kNoMemory;
    }
    done += piece;
  }
  return nullptr;
}

bool Unpacker::clear_tail() {
  const u64 bytes = -tail_ & kPageMask;
  if (bytes == 0) {
    return true;
  }
  static constexpr char kZeros[kPageBytes] = {};
  const Result<char*> to = archive_->prepare(tail_, bytes, Access::kWrite);
  return to && arch::copy_fallible(*to, kZeros, bytes).has_value();
}

const char* Unpacker::show(TmpfsFile& file, const CpioEntry& entry) {
  if (!clear_tail() || !file.show({archive_, entry.data_offset >> kPageShift}, entry.data_bytes)) {
    return kNoMemory;
  }
  tail_ = entry.data_offset + entry.data_bytes;
  return nullptr;
}

const char* Unpacker::unpack(const CpioEntry& entry) {
  std::string_view name = entry.name;
  if (name.empty()) {
    set_attributes(root_, entry);
    return nullptr;
  }
  Directory* const directory = parent_of(name);
  if (directory == nullptr || name.empty() || name == "." || name == ".." || name.size() > kNameBytes) {
    return "a name that leads nowhere (or not enough memory)";
  }

  const u32 type = entry.mode & kModeTypeMask;
  if (const ErrnoOr<Ref<Inode>> old = directory->lookup(name)) {
    if ((*old)->is_directory()) {
      if (type != kModeDirectory) {
        return "a file in the place of a directory";
      }
      set_attributes(**old, entry);
      return nullptr;
    }
    static_cast<void>(directory->unlink(name));
  }

  char target[kSymlinkBytes];
  std::string_view link_target;
  if (type == kModeSymlink) {
    if (entry.data_bytes == 0 || entry.data_bytes >= kSymlinkBytes) {
      return "a symbolic link of impossible length";
    }
    const Result<char*> from = archive_->prepare(entry.data_offset, entry.data_bytes, Access::kRead);
    if (!from || !arch::copy_fallible(target, *from, entry.data_bytes)) {
      return "not enough memory to read it";
    }
    link_target = {target, entry.data_bytes};
  }

  Ref<Inode> inode;
  LinkedFile* const linked = type == kModeRegular && entry.links > 1 ? find_linked(entry) : nullptr;
  if (linked != nullptr) {
    inode = linked->inode;
  } else {
    ErrnoOr<Ref<Inode>> made =
        directory->create(entry.mode, device_number(entry.node_major, entry.node_minor), link_target);
    if (!made) {
      return made.error() == kEINVAL ? "an entry of unknown type" : kNoMemory;
    }
    inode = std::move(*made);
  }
  if (directory->link(name, inode) != 0) {
    return kNoMemory;
  }
  // Of a file with several names, one entry carries the data.
  if (type == kModeRegular && entry.data_bytes != 0) {
    const bool in_place = entry.data_bytes > SmallContents::kMostBytes &&
                          (entry.data_offset & kPageMask) == 0 && inode->size_bytes() == 0;
    // tmpfs made it.
    const char* const problem = in_place ? show(static_cast<TmpfsFile&>(*inode), entry) : fill(*inode, entry);
    if (problem != nullptr) {
      return problem;
    }
  }
  if (linked == nullptr && type == kModeRegular && entry.links > 1) {
    auto* remembered = make<LinkedFile>();
    if (remembered == nullptr) {
      return kNoMemory;
    }
    remembered->device = archive_device(entry);
    remembered->number = entry.inode;
    remembered->inode = inode;
    linked_.insert(*remembered);
  }
  set_attributes(*inode, entry);
  return nullptr;
}

[[noreturn]] void refuse(const char* problem, u64 offset) {
  log_line("initramfs: ", problem, ", at byte ", offset, " of the archive");
  if (std::string_view(problem) == kNoMemory) {
    log_line("its files may take half of memory: give fewer, or more memory (experiments/boot --memory)");
  }
  platform_ops().power_off(1);
}

}  // namespace

void unpack_initramfs(ObjectId archive, u64 bytes, Directory& root) {
  Result<Ref<MemoryObject>> object = MemoryObject::adopt(archive, bytes);
  Ref<Archive> kept = object ? make_counted<Archive>(std::move(*object)) : nullptr;
  if (!kept) {
    refuse("not enough memory", 0);
  }
  Unpacker unpacker(std::move(kept), bytes, root);
  if (const char* problem = unpacker.run(); problem != nullptr) {
    refuse(problem, unpacker.entry_offset());
  }
}

}  // namespace nopte::guest::files
