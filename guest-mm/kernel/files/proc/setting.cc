#include "guest-mm/kernel/files/proc/setting.h"

#include "guest-mm/kernel/files/proc/proc_inodes.h"

namespace nopte::guest::files {

namespace {

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

class SettingFile final : public File {
 public:
  SettingFile(Ref<Inode> inode, u32 flags, const Setting& row) : File(std::move(inode), flags), row_(row) {}
  [[nodiscard]] bool seekable() const override { return true; }
  i64 read(IoBuffer to, u64 bytes, u64 offset) override {
    TextBuilder out;
    row_.read(out);
    if (out.failed()) return -kENOMEM;
    const std::string_view text = out.text();
    if (offset >= text.size() || bytes == 0) return 0;
    const IoBuffer::Copied copied = to.put(text.data() + offset, std::min(bytes, text.size() - offset));
    return copied.bytes != 0 ? static_cast<i64>(copied.bytes) : to_errno(copied.status);
  }
  i64 write(IoBuffer from, u64 bytes, u64 offset, u64* end) override {
    if (bytes >= kPageBytes) return -kEINVAL;
    char text[kPageBytes / 4];
    if (bytes > sizeof text) return -kEINVAL;
    if (const IoBuffer::Copied copied = from.get(text, bytes); copied.status != Status::kOk) {
      return to_errno(copied.status);
    }
    // What does not begin at the beginning is ignored (sysctl_writes_strict).
    if (offset == 0 && bytes != 0) {
      if (const i64 error = row_.write({text, bytes}); error != 0) return error;
    }
    if (end != nullptr) *end = offset + bytes;
    return static_cast<i64>(bytes);
  }

 private:
  const Setting& row_;
};

template <class Base>
class TreeInode : public Base {
 public:
  template <class... Args>
  explicit TreeInode(const SettingTree& tree, Args&&... args)
      : Base(std::forward<Args>(args)...), tree_(tree) {}
  [[nodiscard]] u64 device_of_file_system() const override { return tree_.device; }

 protected:
  const SettingTree& tree_;
};

class SettingInode final : public TreeInode<ProcInode<Inode>> {
 public:
  SettingInode(const SettingTree& tree, u64 index)
      : TreeInode(tree, kModeRegular | (tree.rows[index].write != nullptr ? 0644u : 0444u),
                  tree.first_number + index),
        row_(tree.rows[index]) {}
  i64 truncate(u64) override { return 0; }  // a shell's redirection asks for it
  ErrnoOr<Ref<File>> open(u32 flags) override {
    if ((flags & kOpenAccessMask) != kOpenReadOnly && row_.write == nullptr) return ErrnoFail(kEACCES);
    Ref<File> file = make_counted<SettingFile>(Ref<Inode>(this), flags, row_);
    if (!file) return ErrnoFail(kENOMEM);
    return file;
  }

 private:
  const Setting& row_;
};

// A directory is the first `prefix_` bytes of the path of row `first_`, its last '/' included; the root is
// none of them.
class SettingDirectory final : public TreeInode<ProcDirectory> {
 public:
  SettingDirectory(const SettingTree& tree, u64 first, u64 prefix, std::string_view name, Ref<Inode> above)
      : TreeInode(tree, tree.first_number + tree.rows.size() * (1 + depth(tree, first, prefix)) + first,
                  std::move(above), name),
        first_(first),
        prefix_(prefix) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    for (u64 index = first_; index < tree_.rows.size(); ++index) {
      const std::string_view rest = below(index);
      if (rest.empty() || component(rest) != name) continue;
      if (rest.size() == name.size()) return made<SettingInode>(tree_, index);
      return made<SettingDirectory>(tree_, index, prefix_ + name.size() + 1, name, Ref<Inode>(this));
    }
    return ErrnoFail(kENOENT);
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    for (u64 index = std::max(cookie - 2, first_); index < tree_.rows.size(); ++index) {
      const std::string_view rest = below(index);
      if (rest.empty() || listed_before(index)) continue;
      const std::string_view name = component(rest);
      const bool is_file = name.size() == rest.size();
      if (!visit(name, tree_.first_number + (is_file ? 0 : tree_.rows.size()) + index,
                 is_file ? kModeRegular : kModeDirectory, index + 3)) {
        return;
      }
    }
  }

 private:
  static u64 depth(const SettingTree& tree, u64 first, u64 prefix) {
    u64 slashes = 0;
    for (const char c : tree.rows[first].path.substr(0, prefix)) slashes += c == '/' ? 1 : 0;
    return slashes;
  }
  static std::string_view component(std::string_view rest) { return rest.substr(0, rest.find('/')); }
  // The row's path from here on; empty when it is not below.
  [[nodiscard]] std::string_view below(u64 index) const {
    const std::string_view path = tree_.rows[index].path;
    const std::string_view here = tree_.rows[first_].path.substr(0, prefix_);
    return path.starts_with(here) ? path.substr(prefix_) : std::string_view();
  }
  [[nodiscard]] bool listed_before(u64 index) const {
    for (u64 before = first_; before < index; ++before) {
      if (component(below(before)) == component(below(index))) return true;
    }
    return false;
  }

  u64 first_;
  u64 prefix_;
};

}  // namespace

bool NumberReader::more() {
  while (!rest.empty() && (is_blank(rest.front()) || rest.front() == 0)) rest.remove_prefix(1);
  return !rest.empty();
}

Result<u64> NumberReader::next_unsigned() {
  u64 bytes = 0;
  while (bytes < rest.size() && !is_blank(rest[bytes]) && rest[bytes] != 0) ++bytes;
  std::string_view word = rest.substr(0, bytes);
  rest.remove_prefix(bytes);
  while (word.size() > 1 && word.front() == '0') word.remove_prefix(1);
  const std::optional<u64> value = parse_decimal<u64>(word);
  if (!value) return Fail(Status::kInvalid);
  return *value;
}

Result<i64> NumberReader::next_signed() {
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative) rest.remove_prefix(1);
  const Result<u64> size = next_unsigned();
  if (!size || *size > u64{std::numeric_limits<i64>::max()}) return Fail(Status::kInvalid);
  return negative ? -static_cast<i64>(*size) : static_cast<i64>(*size);
}

ErrnoOr<Ref<Inode>> make_setting_root(const SettingTree& tree, Ref<Inode> above) {
  return made<SettingDirectory>(tree, 0u, 0u, tree.name, std::move(above));
}

}  // namespace nopte::guest::files
