// The life of tables of Xen's interface. Included by xen_tables.h.
//
// A table costs Xen some 25,000 instructions, for a look at each of its entries when it is first used and
// when no more. So one of few entries that is freed stays what it is: pinned while it is still linked, then
// emptied, read-only, and live. It serves as the next of its level, filled by calls; a root keeps what it has
// of the kernel's. To FrameTable it is free, and ordinary memory again as soon as nothing else is.
#pragma once

namespace nopte::pt {

template <auto call>
[[gnu::noinline]] void XenTables<call>::change_user_slot(XenUserRoots::Root& user, unsigned index,
                                                         Entry encoded) {
  make_room();
  single_ = kNoSingle;
  queue_.update(pages_to_bytes(machine(user_roots_.frame(user))) + index * sizeof(u64), encoded.word());
  user.waits = number_;
  if (!encoded.empty()) user.groups |= u64{1} << index / kSlotsOfGroup;
}

template <auto call>
[[gnu::noinline]] void XenTables<call>::follow(XenUserRoots::Root& user, Frame root) {
  const bool any = root != Frame();
  user.follows = root;
  if (user.waits == number_ || (any && has_waiting(frames_.meta(root)))) issue();
  constexpr u64 kUserGroups = ~u64{0} >> 32;
  u64 groups = (user.groups | (any ? frames_.meta(root).back : 0)) & kUserGroups;
  user.groups = 0;
  for (; groups != 0; groups &= groups - 1) {
    const unsigned first = static_cast<unsigned>(__builtin_ctzll(groups)) * kSlotsOfGroup;
    for (unsigned index = first; index < first + kSlotsOfGroup; ++index) {
      const Entry now = load_entry(frames_.pointer(user_roots_.frame(user)), index);
      const Entry wanted = any ? load_entry(frames_.pointer(root), index) : Entry();
      if (!same_but_accessed(now, wanted)) {
        change_user_slot(user, index, wanted);
      } else if (!now.empty()) {
        user.groups |= u64{1} << first / kSlotsOfGroup;
      }
    }
  }
}

template <auto call>
void XenTables<call>::run_user_on(Frame root) {
  if (!user_roots_.any() || root == kernel_root_) return;
  XenUserRoots::Root* user = user_roots_.next_for(root);
  if (user == nullptr) follow(*(user = &user_roots_.choose()), root);
  if (user_roots_.load(*user)) operation(Mmuext::kNewUserBaseptr, machine(user_roots_.frame(*user)));
}

template <auto call>
void XenTables<call>::load_root(Frame root) {
  const bool is_new = !live(root);
  if (is_new) make_live(root, FourLevel::kLevels);
  run_user_on(root);
  if (is_new) {
    frames_.meta(root).index |= kPinned;
    operation(Mmuext::kPinL4, machine(root));
  }
  operation(Mmuext::kNewBaseptr, machine(root));
  queue_.issue();
  issued(true);
}

template <auto call>
void XenTables<call>::make_live(Frame table, unsigned level) {
  FrameMeta& meta = frames_.meta(table);
  if ((meta.index & kLive) != 0 || table == memory_.direct_table) return;
  meta.index = kLive | u64{number_} << 32;  // none of its entries waits, but it does
  change_alias(table, kPermR);
  if (level == 1) return;
  const TranslatingView view{frames_.pointer(table), numbers_.ours};
  EntryScan<FourLevel, TranslatingView> scan(view, meta, 0, FourLevel::kEntriesPerTable - 1);
  while (scan.next()) make_live(scan.entry().frame(), level - 1);
}

template <auto call>
void XenTables<call>::pin(Frame table) {
  FrameMeta& meta = frames_.meta(table);
  if ((meta.index & kPinned) != 0) return;
  if (has_waiting(meta) || queue_.pins_full()) issue();
  meta.index |= kPinned;
  queue_.pin(static_cast<Mmuext>(static_cast<unsigned>(Mmuext::kPinL1) + meta.level - 1), machine(table));
}

// The tree of `table` without what has other parents, too. False: there are too many.
template <auto call>
template <typename XenTables<call>::Visit does>
bool XenTables<call>::visit_own(Frame table, u64& left) {
  FrameMeta& meta = frames_.meta(table);
  if constexpr (does == Visit::kCount) {
    if (left-- == 0) return false;
  } else {
    if (is_soon_emptied(meta)) pin(table);
  }
  if (meta.level == 1) return true;
  if (has_waiting(meta)) issue();
  const unsigned last = meta.level == FourLevel::kLevels ? kLastUserSlot : FourLevel::kEntriesPerTable - 1;
  EntryScan<FourLevel, TranslatingView> scan({frames_.pointer(table), numbers_.ours}, meta, 0, last);
  while (scan.next()) {
    const Frame below = scan.entry().frame();
    if (frames_.meta(below).refs == 1 && !visit_own<does>(below, left)) return false;
  }
  return true;
}

template <auto call>
bool XenTables<call>::keep(Frame table) {
  FrameMeta& meta = frames_.meta(table);
  if ((meta.index & kLive) == 0) return false;
  Kept& kept = kept_[meta.level];
  const bool has_marks = meta.kind == FrameKind::kTable;
  if ((meta.index & kPinned) == 0 || meta.live > (has_marks ? kSoonerEmptied : 0) ||
      kept.count == kMostKept) {
    end_life(table);
    return false;
  }
  empty(table, meta);
  meta.back = kept.first;
  kept.first = table.number() + 1;
  ++kept.count;
  ++all_kept_;
  return true;
}

template <auto call>
void XenTables<call>::empty(Frame table, FrameMeta& meta) {
  if (meta.live == 0) return;
  const unsigned last = meta.level == FourLevel::kLevels ? kLastUserSlot : FourLevel::kEntriesPerTable - 1;
  if (has_waiting(meta)) issue();
  EntryScan<FourLevel, PlainView> scan({frames_.pointer(table)}, meta, 0, last);
  while (scan.next()) change(table, scan.index(), Entry());
  meta.live = 0;
  meta.back = 0;
}

template <auto call>
Frame XenTables<call>::take(unsigned level) {
  Kept& kept = kept_[level];
  if (kept.count == 0) return {};
  --kept.count;
  --all_kept_;
  const Frame table(kept.first - 1);
  kept.first = frames_.meta(table).back;
  return table;
}

// Some at once: each call has many of them.
template <auto call>
bool XenTables<call>::give_up() {
  u64 left = kGivenUpAtOnce;
  for (unsigned level = 1; level <= FourLevel::kLevels; ++level) {
    for (Frame table; left != 0 && (table = take(level)) != Frame(); --left) {
      frames_.free_kept(table);
      if (queue_.pins_full()) issue();
      queue_.pin(Mmuext::kUnpin, machine(table));
      frames_.meta(table).index &= ~kPinned;
      end_life(table);
    }
  }
  make_writable();
  return left != kGivenUpAtOnce;
}

template <auto call>
void XenTables<call>::end_life(Frame table) {
  if ((frames_.meta(table).index & kPinned) != 0) unpin(table);
  frames_.meta(table).index = ended_;
  ended_ = table.number() + 1;
  frames_.ask_first();
}

template <auto call>
void XenTables<call>::make_writable() {
  while (ended_ != 0) {
    const Frame table(ended_ - 1);
    ended_ = std::exchange(frames_.meta(table).index, 0);
    change_alias(table, kPermRW);
    memory_waits_ = true;
  }
  if (memory_waits_) issue();
}

}  // namespace nopte::pt
