// Engine: what a program wants installed before it touches it (EngineCore::populate). Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<Gva> Engine<Sink>::install_promised(Space& space, SpaceId id, const Promise& promise, VaRange pages,
                                           Access access) {
  Gva va = pages.begin;
  while (va < pages.end) {
    work::did(work::Unit::kPage);
    NOPTE_TRY(choose_way(sink_, [&]<class Way> { return resolve<Way>(space, id, promise, va, access); }));
    va += kPageBytes;
    if (promise.object != nullptr) continue;
    const Cursor<Sink> cursor(tables_, space.root, va - kPageBytes);
    if (cursor.at_large_page()) va = cursor.large_page().end;
    const VaRange left{va, std::min(cursor.table_end(), pages.end)};
    if (cursor.level() != 1 || !cursor.mine() || left.begin >= left.end) continue;
    const Entry model = Entry::leaf(Frame(), promise.region.perm, privilege_of(id), access);
    va += pages_to_bytes(choose_way(sink_, [&]<class Way> {
      return install_run<Way>(cursor.leaf(), Format::table_index(va, 1), static_cast<unsigned>(left.pages()),
                              promise, 0, model);
    }));
  }
  return va;
}

}  // namespace nopte::pt
