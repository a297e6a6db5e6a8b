// The page-table entry that the x86 formats share: which bit says what, in both directions. Pure.
// Sources: AMD64 Architecture Programmer's Manual vol. 2 (24593), 5.2.2, 5.2.3, 5.3.3 and 5.4
// "Page-Translation- Table Entry Fields"; Intel SDM vol. 3A, tables 4-4 to 4-6 (32-bit) and 4-9 to 4-11
// (PAE):
//   P 0, R/W 1, U/S 2, PWT 3, PCD 4, A 5, D 6, PS 7 (above level 1), G 8, available 9-11
//   64-bit words: frame 12-51, NX 63       32-bit words: frame 12-31, no NX
// A large leaf has its PAT bit at 12 and a frame of 2 MiB (4 MiB in 32-bit words) or more above it; in 32-bit
// words bits 13-20 are address bits 32-39 (PSE-36 and its 40-bit extension). PAT bits are never set here.
//
// What 32-bit words cannot say: that a page must not be executed; executable() follows present().
//
// Entries that are not present are ours. 0 is empty; otherwise bits 9-11 say which kind it is:
//   kNoAccess: a page that its region forbids to touch; frame, PS, A and D stay where hardware has them
//   kSwapped:  the bits of the frame number a swap slot
#pragma once

#include <bit>

#include "native-fallback/frames/phys.h"
#include "pvops/base/perm.h"

namespace nopte::pt {

enum class Privilege : u8 { kUser, kKernel };
enum class Caching : u8 { kWriteBack, kUncached };

// `WordType` is u64, or u32 for the two-level format.
template <class WordType>
class X86Entry {
 public:
  using Word = WordType;

 private:
  static constexpr bool kWide = sizeof(Word) == 8;
  static constexpr Word bit(unsigned position) { return Word{1} << position; }
  static constexpr Word kSoftwareShift = 9;

 public:
  static constexpr Word kPresent = bit(0);
  static constexpr Word kWritable = bit(1);
  static constexpr Word kUser = bit(2);
  static constexpr Word kWriteThrough = bit(3);
  static constexpr Word kCacheDisable = bit(4);
  static constexpr Word kAccessed = bit(5);
  static constexpr Word kDirty = bit(6);
  static constexpr Word kLarge = bit(7);
  static constexpr Word kGlobal = bit(8);
  static constexpr Word kSoftwareMask = Word{7} << kSoftwareShift;
  // In a present leaf: the page is a copy that was made before this side wrote to it. D says whether that was
  // right. Until its rights change: with_perm() clears it.
  static constexpr Word kCopiedAhead = bit(10);
  // In a present entry for a table: entries below may say that their pages can be written, and must not.
  static constexpr Word kWriteTaken = bit(11);
  static constexpr Word kFrameMask = static_cast<Word>(kWide ? 0x000f'ffff'ffff'f000 : 0xffff'f000);
  static constexpr Word kNoExecute = kWide ? bit(kWide ? 63 : 0) : 0;
  // Of a large leaf: not its frame.
  static constexpr Word kBelowLargeFrame = (kWide ? bit(21) : bit(22)) - 1;

  enum class Software : Word { kNone = 0, kNoAccess = 1, kSwapped = 2 };

  constexpr X86Entry() = default;
  constexpr explicit X86Entry(Word word) : word_(word) {}

  // What is asked of many entries, in two instructions for each.
  class Marks {
   public:
    // Present, cannot be written; and was written.
    static constexpr Marks read_only() { return {kPresent | kWritable, kPresent}; }
    static constexpr Marks read_only_dirty() { return {kPresent | kWritable | kDirty, kPresent | kDirty}; }
    [[nodiscard]] constexpr bool of(X86Entry entry) const { return (entry.word_ & asked_) == answer_; }

   private:
    constexpr Marks(Word asked, Word answer) : asked_(asked), answer_(answer) {}
    Word asked_, answer_;
  };

  // --- making ---
  // Refers to a lower table; rights are left to the leaf. A is preset, as hardware would set it at once.
  static constexpr X86Entry table(Frame table, Privilege privilege) {
    return X86Entry(frame_bits(table) | kPresent | kWritable | kAccessed |
                    (privilege == Privilege::kUser ? kUser : 0));
  }
  // A 4 KiB leaf. Precondition: !perm.none(). A is preset; D when the access at hand is a write.
  static constexpr X86Entry leaf(Frame frame, Perm perm, Privilege privilege, Access access) {
    return X86Entry(frame_bits(frame) | kPresent | kAccessed |
                    (privilege == Privilege::kUser ? kUser : kGlobal) | (perm.write() ? kWritable : 0) |
                    (perm.exec() ? 0 : kNoExecute) | (access == Access::kWrite ? kDirty : 0));
  }
  // A kernel leaf above level 1. Precondition: the frame is aligned to it.
  static constexpr X86Entry large_kernel_leaf(Frame first, Perm perm, Caching caching) {
    return kernel_leaf(first, perm, caching).as_large(first);
  }
  // A kernel leaf of committed memory: A and D preset, never looked at.
  static constexpr X86Entry kernel_leaf(Frame frame, Perm perm, Caching caching = Caching::kWriteBack) {
    const X86Entry entry =
        leaf(frame, perm, Privilege::kKernel, perm.write() ? Access::kWrite : Access::kRead);
    return caching == Caching::kUncached ? entry.with(kWriteThrough | kCacheDisable) : entry;
  }
  static constexpr X86Entry swapped(u64 slot) {
    return X86Entry(frame_bits(Frame(slot)) | software_bits(Software::kSwapped));
  }

  // --- asking ---
  [[nodiscard]] constexpr Word word() const { return word_; }
  [[nodiscard]] constexpr bool empty() const { return word_ == 0; }
  [[nodiscard]] constexpr bool present() const { return word_ & kPresent; }
  // Above level 1: a leaf.
  [[nodiscard]] constexpr bool large() const { return word_ & kLarge; }
  [[nodiscard]] constexpr bool writable() const { return word_ & kWritable; }
  [[nodiscard]] constexpr bool executable() const { return !(word_ & kNoExecute); }
  [[nodiscard]] constexpr bool user() const { return word_ & kUser; }
  [[nodiscard]] constexpr bool global() const { return word_ & kGlobal; }
  [[nodiscard]] constexpr bool accessed() const { return word_ & kAccessed; }
  // Present, and not only installed ahead.
  [[nodiscard]] constexpr bool touched() const {
    constexpr Word kTouched = kPresent | kAccessed;
    return (word_ & (kTouched | kCopiedAhead)) == kTouched;
  }
  // Was not installed ahead, or it is not known; of an entry that holds a frame.
  [[nodiscard]] constexpr bool asked_for() const { return (word_ & (kAccessed | kCopiedAhead)) == kAccessed; }
  [[nodiscard]] constexpr bool copied_ahead() const { return word_ & kCopiedAhead; }
  [[nodiscard]] constexpr bool dirty() const { return word_ & kDirty; }
  // The kind of an entry that is neither present nor empty.
  [[nodiscard]] constexpr Software software() const {
    return present() ? Software::kNone : Software((word_ & kSoftwareMask) >> kSoftwareShift);
  }
  [[nodiscard]] constexpr bool no_access() const { return software() == Software::kNoAccess; }
  // Present or kNoAccess.
  [[nodiscard]] constexpr bool holds_frame() const { return present() || no_access(); }
  // By two shifts: the mask has no room in an instruction.
  [[nodiscard]] constexpr Frame frame() const {
    constexpr int kAbove = std::countl_zero(kFrameMask);
    return Frame(static_cast<Word>(word_ << kAbove) >> (kAbove + kPageShift));
  }
  // The first frame of a large leaf.
  [[nodiscard]] constexpr Frame large_frame() const {
    const u64 low = word_ & kFrameMask & ~kBelowLargeFrame;
    return Frame((kWide ? low : low | (u64{word_} >> 13 & 0xff) << 32) >> kPageShift);
  }
  [[nodiscard]] constexpr u64 swap_slot() const { return (word_ & kFrameMask) >> kPageShift; }
  [[nodiscard]] constexpr Perm perm() const {
    return present() ? Perm(static_cast<u8>(Perm::kRead | (writable() ? Perm::kWrite : 0) |
                                            (executable() ? Perm::kExec : 0)))
                     : kPermNone;
  }

  // `other`, which is present, allows something that this entry does not.
  [[nodiscard]] constexpr bool lacks_rights_of(X86Entry other) const {
    constexpr Word kRights = kPresent | kWritable | kNoExecute;
    const Word mine = (word_ ^ kNoExecute) & kRights;
    const Word theirs = (other.word_ ^ kNoExecute) & kRights;
    return (theirs & ~mine) != 0;
  }

  // --- changing ---
  [[nodiscard]] constexpr X86Entry with(Word bits) const { return X86Entry(word_ | bits); }
  [[nodiscard]] constexpr X86Entry without(Word bits) const { return X86Entry(word_ & ~bits); }
  // The same page with these rights: from present or kNoAccess to present, or to kNoAccess.
  [[nodiscard]] constexpr X86Entry with_perm(Perm perm) const {
    const Word kept = word_ & ~(kPresent | kWritable | kNoExecute | kSoftwareMask);
    if (perm.none()) return X86Entry(kept | software_bits(Software::kNoAccess));
    return X86Entry(kept | kPresent | (perm.write() ? kWritable : 0) | (perm.exec() ? 0 : kNoExecute));
  }
  // with_perm() of many entries. Precondition: !perm.none().
  class Rights {
   public:
    constexpr explicit Rights(Perm perm)
        : given_(X86Entry().with_perm(perm).word()), refused_(~(given_ ^ kNoExecute) & kGivable) {}
    [[nodiscard]] constexpr X86Entry of(X86Entry entry) const {
      return X86Entry((entry.word_ & ~(kGivable | kSoftwareMask)) | given_);
    }
    [[nodiscard]] constexpr bool refuse_something() const { return refused_ != 0; }
    // An access that the entry allows may be refused by of(entry).
    [[nodiscard]] constexpr bool taken_from(X86Entry entry) const {
      return ((entry.word_ ^ kNoExecute) & refused_) != 0 && entry.present();
    }

   private:
    static constexpr Word kGivable = kPresent | kWritable | kNoExecute;
    Word given_;
    Word refused_;
  };
  // An entry for a table that several entries refer to, when the pages below keep at most these rights: what
  // the table itself says stays as it is.
  [[nodiscard]] constexpr X86Entry restricted_to(Perm perm) const {
    if (perm.none()) return with_perm(perm);
    if (!present()) return *this;
    return X86Entry(word_ | (perm.exec() ? 0 : kNoExecute) | (perm.write() ? 0 : kWriteTaken));
  }
  // What entries of a table become when the entry above it has full rights again: what that one had taken.
  class Restriction {
   public:
    constexpr explicit Restriction(X86Entry above) {
      if (!above.present()) {
        kept_ = ~(kPresent | kWritable | kNoExecute | kSoftwareMask);
        added_ = software_bits(Software::kNoAccess);
        return;
      }
      const bool write_taken = (above.word_ & kWriteTaken) != 0;
      kept_ = write_taken ? ~kWritable : ~Word{0};
      added_ = above.word_ & kNoExecute;
      added_to_table_ = write_taken ? kWriteTaken : 0;
    }
    [[nodiscard]] constexpr X86Entry leaf(X86Entry entry) const {
      return entry.present() ? X86Entry((entry.word_ & kept_) | added_) : entry;
    }
    [[nodiscard]] constexpr X86Entry table(X86Entry entry) const {
      return entry.present() ? X86Entry((entry.word_ & kept_) | added_ | added_to_table_) : entry;
    }

   private:
    Word kept_;
    Word added_;
    Word added_to_table_ = 0;
  };
  [[nodiscard]] constexpr X86Entry restricted_by(X86Entry above, unsigned level) const {
    const Restriction restriction(above);
    return level == 1 || large() ? restriction.leaf(*this) : restriction.table(*this);
  }
  // The same bits around another frame (sinks whose machine frames are not the engine's).
  [[nodiscard]] constexpr X86Entry with_frame(Frame frame) const {
    return X86Entry((word_ & ~kFrameMask) | frame_bits(frame));
  }
  // The same around the number that its frame has in a list by frame, if it holds one.
  [[nodiscard]] constexpr X86Entry translated(const u64* numbers) const {
    return holds_frame() ? with_frame(Frame(numbers[frame().number()])) : *this;
  }
  // The same bits as a 4 KiB leaf, and as a large one. Precondition: the frame is aligned to it.
  [[nodiscard]] constexpr X86Entry as_small(Frame frame) const {
    return X86Entry((word_ & ~(kFrameMask | kLarge)) | frame_bits(frame));
  }
  [[nodiscard]] constexpr X86Entry as_large(Frame first) const {
    const u64 address = first.address().value();
    const Word high = kWide ? 0 : static_cast<Word>(address >> 32 & 0xff) << 13;
    return X86Entry((word_ & ~kFrameMask) | kLarge | high | static_cast<Word>(address));
  }

  friend constexpr bool operator==(X86Entry, X86Entry) = default;

 private:
  // Precondition: the mask has room for it.
  static constexpr Word frame_bits(Frame frame) { return static_cast<Word>(frame.address().value()); }
  static constexpr Word software_bits(Software kind) { return static_cast<Word>(kind) << kSoftwareShift; }

  Word word_ = 0;
};

// The 64-bit one: four-level, five-level, PAE.
using Entry = X86Entry<u64>;
using Entry32 = X86Entry<u32>;

static_assert(sizeof(Entry) == 8 && sizeof(Entry32) == 4);
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
static_assert(Entry32::leaf(Frame(5), kPermRW, Privilege::kUser, Access::kWrite).word() == 0x5067);
static_assert(Entry32::leaf(Frame(5), kPermRW, Privilege::kUser, Access::kRead).perm() == kPermRWX);
static_assert(Entry32::leaf(Frame(5), kPermRWX, Privilege::kUser, Access::kRead)
                  .with_perm(kPermNone)
                  .with_perm(kPermR)
                  .perm() == kPermRX);
static_assert(Entry32::large_kernel_leaf(Frame(0xabc'd800), kPermRW, Caching::kWriteBack).word() ==
              0xcd80'01e3 + (0xab << 13));
static_assert(Entry32::large_kernel_leaf(Frame(0xabc'd800), kPermRW, Caching::kWriteBack).large_frame() ==
              Frame(0xabc'd800));

}  // namespace nopte::pt
