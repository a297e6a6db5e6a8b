// Tables that a cursor makes, and unlinks. Included by cursor.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<void> Cursor<Sink>::install_below(const Memory& memory, const Slot& at, Entry leaf,
                                         unsigned leaf_level) {
  Frame made[Format::kLevels];
  for (unsigned level = leaf_level; level < at.level; ++level) {
    const auto table = memory.make(level);
    if (!table) {
      for (unsigned l = leaf_level; l < level; ++l) memory.discard(made[l]);
      return Fail(table.error());
    }
    made[level] = *table;
  }
  const Privilege whose = privilege_of(at.va);
  Entry value = leaf;
  for (unsigned level = leaf_level; level < at.level; ++level) {
    if (!value.empty()) memory.fill(made[level], Format::table_index(at.va, level), value);
    memory.sink.publish(made[level], level, at.va);
    memory.frames.meta(made[level]).refs = 1;
    value = Format::table_entry(made[level], whose, level + 1);
  }
  memory.sink.link(at, value);
  note_filled<Format>(memory.frames.meta(at.table), at.index);
  return {};
}

template <PageTableSink Sink>
template <class Way>
void Cursor<Sink>::unlink_as(unsigned level, TlbBatch<Sink>& batch) {
  const unsigned top = lowest_fixed();
  if (level < top) batch.way_to(va_);
  for (; level < top; ++level) {
    const Frame table(path_.tables[level]);
    const Slot link = above(level);
    way_of<Way>(memory_.sink).unlink(link);
    if (--memory_.frames.meta(table).refs == 0) batch.table(table);
    path_.level = level + 1;
    FrameMeta& parent = memory_.frames.meta(link.table);
    note_emptied(parent);
    if (parent.live != 0) break;
  }
}

}  // namespace nopte::pt
