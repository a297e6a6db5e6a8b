// /dev/pts: the terminals of ptys by number, while their masters are open
// (Documentation/filesystems/devpts.rst).
#include "guest-mm/kernel/files/names/directory_file.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/tty/pty.h"
#include "pvops/base/digits.h"

namespace nopte::guest::tty {

namespace {

using files::Directory;
using files::ErrnoFail;
using files::ErrnoOr;
using files::File;
using files::Inode;

constexpr u32 kTerminalGroup = 5;  // "tty" of Debian, whose devpts is mounted with gid=5,mode=620
constexpr u64 kDirectoryNumber = 1, kMasterNumber = 2, kFirstNumber = 3;
constexpr std::string_view kMasterName = "ptmx";

PtsNode* g_first = nullptr;  // by number
Directory* g_directory = nullptr;

}  // namespace

class PtsNode final : public Inode {
 public:
  explicit PtsNode(Ref<Pty> terminal)
      : Inode(files::kModeCharacter | 0620), pty(std::move(terminal)), name_(pty->index) {
    number = kFirstNumber + pty->index;
    device = pty->device;
    uid = identity().user.file;
    gid = kTerminalGroup;
  }
  ErrnoOr<Ref<File>> open(u32 flags) override {
    return open_terminal(*pty, Ref<Inode>(this), flags, OpenedAs::kTerminal);
  }
  [[nodiscard]] u64 device_of_file_system() const override { return files::kPtsDevice; }
  [[nodiscard]] std::string_view name() const { return name_.text(); }

  const Ref<Pty> pty;
  PtsNode* next = nullptr;  // in the list, which holds a reference to each

 private:
  Digits name_;
};

namespace {

class PtsMasterNode final : public Inode {
 public:
  PtsMasterNode() : Inode(files::kModeCharacter) {
    number = kMasterNumber;
    device = files::device_number(5, 2);
  }
  ErrnoOr<Ref<File>> open(u32 flags) override { return open_master(Ref<Inode>(this), flags); }
  [[nodiscard]] u64 device_of_file_system() const override { return files::kPtsDevice; }
};

class PtsDirectory final : public Directory {
 public:
  explicit PtsDirectory(Ref<Inode> master)
      : Directory(files::kModeDirectory | 0755), master_(std::move(master)) {
    number = kDirectoryNumber;
    links = 2;
    master_->parent = this;
  }
  ErrnoOr<Ref<File>> open(u32 flags) override { return files::open_directory(*this, flags); }
  [[nodiscard]] u64 device_of_file_system() const override { return files::kPtsDevice; }

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    if (name == kMasterName) {
      return master_;
    }
    for (PtsNode* node = g_first; node != nullptr; node = node->next) {
      if (node->name() == name) {
        return Ref<Inode>(node);
      }
    }
    return ErrnoFail(kENOENT);
  }
  void iterate(u64 cookie, files::DirectoryVisitor visit) override {
    // Places behind "." and "..": the master's, then those of the terminals by number.
    constexpr u64 kBegin = 2, kTerminals = 3;
    if (cookie == kBegin && !visit(kMasterName, kMasterNumber, files::kModeCharacter, kTerminals)) {
      return;
    }
    for (const PtsNode* node = g_first; node != nullptr; node = node->next) {
      const u64 place = kTerminals + node->pty->index;
      if (place >= cookie && !visit(node->name(), node->number, files::kModeCharacter, place + 1)) {
        return;
      }
    }
  }
  bool entry_name(const Inode& inode, std::string_view& name) const override {
    name = &inode == master_.get() ? kMasterName : static_cast<const PtsNode&>(inode).name();
    return true;
  }

 private:
  Ref<Inode> master_;
};

}  // namespace

Ref<Inode> make_pts_directory() {
  Ref<Inode> master = files::make_counted<PtsMasterNode>();
  if (!master) {
    return nullptr;
  }
  Ref<PtsDirectory> directory = files::make_counted<PtsDirectory>(std::move(master));
  g_directory = directory.get();
  return directory;
}

ErrnoOr<Ref<Pty>> add_pty() {
  if (g_ptys.count >= g_ptys.most) {
    return ErrnoFail(kENOSPC);
  }
  u32 index = 0;
  PtsNode** place = &g_first;
  for (; *place != nullptr && (*place)->pty->index == index; ++index) {
    place = &(*place)->next;
  }
  Ref<Pty> pty = files::make_counted<Pty>(index);
  if (!pty) {
    return ErrnoFail(kENOMEM);
  }
  Ref<PtsNode> node = files::make_counted<PtsNode>(pty);
  if (!node) {
    return ErrnoFail(kENOMEM);
  }
  node->parent = g_directory;
  node->next = *place;
  pty->node = node.get();
  *place = node.detach();
  ++g_ptys.count;
  return pty;
}

void remove_pty(Pty& pty) {
  PtsNode* const node = std::exchange(pty.node, nullptr);
  PtsNode** link = &g_first;
  while (*link != node) {
    link = &(*link)->next;
  }
  *link = node->next;
  node->parent = nullptr;
  --g_ptys.count;
  node->release();
}

ErrnoOr<Ref<File>> open_peer(Pty& pty, u32 flags) { return pty.node->open(flags); }

}  // namespace nopte::guest::tty
