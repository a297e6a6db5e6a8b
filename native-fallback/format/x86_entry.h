// The page-table entry that the x86 formats share: which bit says what, in both directions. Pure.
// Source: AMD64 Architecture Programmer's Manual vol. 2 (24593), 5.3.3 and 5.4 "Page-Translation-Table Entry
// Fields": P 0, R/W 1, U/S 2, PWT 3, PCD 4, A 5, D 6, PS 7 (levels 2 and 3), G 8, available 9-11,
// frame 12-51, NX 63.
//
// Entries that are not present are ours. 0 is empty; otherwise bits 9-11 say which kind it is:
//   kNoAccess: a page that its region forbids to touch; frame, A and D stay where hardware has them
//   kSwapped:  bits 12-51 number a swap slot
#pragma once

#include "native-fallback/frames/phys.h"
#include "pvops/base/perm.h"

namespace nopte::pt {

enum class Privilege : u8 { kUser, kKernel };
enum class Caching : u8 { kWriteBack, kUncached };

class Entry {
 public:
  static constexpr u64 kPresent = u64{1} << 0;
  static constexpr u64 kWritable = u64{1} << 1;
  static constexpr u64 kUser = u64{1} << 2;
  static constexpr u64 kWriteThrough = u64{1} << 3;
  static constexpr u64 kCacheDisable = u64{1} << 4;
  static constexpr u64 kAccessed = u64{1} << 5;
  static constexpr u64 kDirty = u64{1} << 6;
  static constexpr u64 kLarge = u64{1} << 7;
  static constexpr u64 kGlobal = u64{1} << 8;
  static constexpr u64 kSoftwareMask = u64{7} << 9;
  static constexpr u64 kFrameMask = 0x000f'ffff'ffff'f000;
  static constexpr u64 kNoExecute = u64{1} << 63;

  enum class Software : u64 { kNone = 0, kNoAccess = 1, kSwapped = 2 };

  constexpr Entry() = default;
  constexpr explicit Entry(u64 word) : word_(word) {}

  // --- making ---
  // Refers to a lower table; rights are left to the leaf. A is preset, as hardware would set it at once.
  static constexpr Entry table(Frame table, Privilege privilege) {
    return Entry(table.address().value() | kPresent | kWritable | kAccessed |
                 (privilege == Privilege::kUser ? kUser : 0));
  }
  // A 4 KiB leaf. Precondition: !perm.none(). A is preset; D when the access at hand is a write.
  static constexpr Entry leaf(Frame frame, Perm perm, Privilege privilege, Access access) {
    return Entry(frame.address().value() | kPresent | kAccessed |
                 (privilege == Privilege::kUser ? kUser : kGlobal) | (perm.write() ? kWritable : 0) |
                 (perm.exec() ? 0 : kNoExecute) | (access == Access::kWrite ? kDirty : 0));
  }
  // A kernel leaf at level 2 (2 MiB) or 3 (1 GiB). Precondition: the frame is aligned to it.
  static constexpr Entry large_kernel_leaf(Frame frame, Perm perm, Caching caching) {
    return kernel_leaf(frame, perm, caching).with(kLarge);
  }
  // A kernel leaf of committed memory: A and D preset, never looked at.
  static constexpr Entry kernel_leaf(Frame frame, Perm perm, Caching caching = Caching::kWriteBack) {
    const Entry entry = leaf(frame, perm, Privilege::kKernel, perm.write() ? Access::kWrite : Access::kRead);
    return caching == Caching::kUncached ? entry.with(kWriteThrough | kCacheDisable) : entry;
  }
  static constexpr Entry swapped(u64 slot) {
    return Entry(slot << kPageShift | static_cast<u64>(Software::kSwapped) << 9);
  }

  // --- asking ---
  [[nodiscard]] constexpr u64 word() const { return word_; }
  [[nodiscard]] constexpr bool empty() const { return word_ == 0; }
  [[nodiscard]] constexpr bool present() const { return word_ & kPresent; }
  // Levels 2 and 3 only.
  [[nodiscard]] constexpr bool large() const { return word_ & kLarge; }
  [[nodiscard]] constexpr bool writable() const { return word_ & kWritable; }
  [[nodiscard]] constexpr bool executable() const { return !(word_ & kNoExecute); }
  [[nodiscard]] constexpr bool user() const { return word_ & kUser; }
  [[nodiscard]] constexpr bool global() const { return word_ & kGlobal; }
  [[nodiscard]] constexpr bool accessed() const { return word_ & kAccessed; }
  [[nodiscard]] constexpr bool dirty() const { return word_ & kDirty; }
  // The kind of an entry that is neither present nor empty.
  [[nodiscard]] constexpr Software software() const {
    return present() ? Software::kNone : Software((word_ & kSoftwareMask) >> 9);
  }
  [[nodiscard]] constexpr bool no_access() const { return software() == Software::kNoAccess; }
  // Present or kNoAccess.
  [[nodiscard]] constexpr bool holds_frame() const { return present() || no_access(); }
  [[nodiscard]] constexpr Frame frame() const { return Frame((word_ & kFrameMask) >> kPageShift); }
  [[nodiscard]] constexpr u64 swap_slot() const { return (word_ & kFrameMask) >> kPageShift; }
  [[nodiscard]] constexpr Perm perm() const {
    return present() ? Perm(static_cast<u8>(Perm::kRead | (writable() ? Perm::kWrite : 0) |
                                            (executable() ? Perm::kExec : 0)))
                     : kPermNone;
  }

  // `other`, which is present, allows something that this entry does not.
  [[nodiscard]] constexpr bool lacks_rights_of(Entry other) const {
    constexpr u64 kRights = kPresent | kWritable | kNoExecute;
    const u64 mine = (word_ ^ kNoExecute) & kRights;
    const u64 theirs = (other.word_ ^ kNoExecute) & kRights;
    return (theirs & ~mine) != 0;
  }

  // --- changing ---
  [[nodiscard]] constexpr Entry with(u64 bits) const { return Entry(word_ | bits); }
  [[nodiscard]] constexpr Entry without(u64 bits) const { return Entry(word_ & ~bits); }
  // The same page with these rights: from present or kNoAccess to present, or to kNoAccess.
  [[nodiscard]] constexpr Entry with_perm(Perm perm) const {
    const u64 kept = word_ & ~(kPresent | kWritable | kNoExecute | kSoftwareMask);
    if (perm.none()) return Entry(kept | static_cast<u64>(Software::kNoAccess) << 9);
    return Entry(kept | kPresent | (perm.write() ? kWritable : 0) | (perm.exec() ? 0 : kNoExecute));
  }
  // The same bits around another frame (sinks whose machine frames are not the engine's).
  [[nodiscard]] constexpr Entry with_frame(Frame frame) const {
    return Entry((word_ & ~kFrameMask) | frame.address().value());
  }

  friend constexpr bool operator==(Entry, Entry) = default;

 private:
  u64 word_ = 0;
};

static_assert(sizeof(Entry) == 8);
static_assert(Entry().empty() && !Entry().present() && Entry().software() == Entry::Software::kNone);
static_assert(Entry::leaf(Frame(5), kPermRW, Privilege::kUser, Access::kWrite).word() ==
              0x8000'0000'0000'5067);
static_assert(Entry::leaf(Frame(5), kPermRX, Privilege::kKernel, Access::kRead).word() == 0x5121);
static_assert(Entry::leaf(Frame(7), kPermRW, Privilege::kUser, Access::kRead).perm() == kPermRW);
static_assert(Entry::leaf(Frame(7), kPermRX, Privilege::kUser, Access::kRead).perm() == kPermRX);
static_assert(Entry::table(Frame(9), Privilege::kUser).frame() == Frame(9));
static_assert(
    Entry::leaf(Frame(7), kPermRW, Privilege::kUser, Access::kWrite).with_perm(kPermNone).no_access());
static_assert(Entry::leaf(Frame(7), kPermRW, Privilege::kUser, Access::kWrite).with_perm(kPermNone).frame() ==
              Frame(7));
static_assert(Entry::leaf(Frame(7), kPermRW, Privilege::kUser, Access::kWrite)
                  .with_perm(kPermNone)
                  .with_perm(kPermRW) == Entry::leaf(Frame(7), kPermRW, Privilege::kUser, Access::kWrite));
static_assert(Entry::swapped(77).swap_slot() == 77 && !Entry::swapped(77).present() &&
              !Entry::swapped(0).empty() && !Entry::swapped(77).holds_frame());

}  // namespace nopte::pt
