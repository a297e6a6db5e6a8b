// Teller: the interface by which the hypervisor of a told shadow (told_sink.h) is told. Reached by virtual
// calls, so that one engine serves every such interface: they are made where rights were lost, at flushes and
// at roots, and for the one gain that a fault makes. What more often than that decides whether there is
// anything to call for is a field.
//
// Concurrency: the engine's.
#pragma once

#include <concepts>

#include "native-fallback/tables/page_table_sink.h"

namespace nopte::pt {

class Teller {
 public:
  // A table is named by itself, not by the root and the address under which it is found.
  enum class Names : u8 { kTables, kAddresses };

  [[nodiscard]] bool can_share_tables() const { return names_ == Names::kTables; }
  // The root in use.
  [[nodiscard]] PhysAddr root() const { return root_; }
  [[nodiscard]] bool runs(PhysAddr root) const { return root == root_; }

  // A slot's entry, which was present, has lost what `now` does not have: told at the latest by the next
  // flush. The arguments fit into registers.
  virtual void lost(PhysAddr entry, PhysAddr root, Gva va, unsigned level, Entry now) = 0;
  void lost(const Slot& slot, Entry now) {
    lost(slot.table.address() + slot.index * sizeof(Entry), slot.root.address(), slot.va, slot.level, now);
  }
  // After return no translation is used that was lost before: of the page, if that is all; of the scope.
  virtual void flush_page(Gva va, FlushScope scope) = 0;
  virtual void flush_all(FlushScope scope) = 0;
  // A fault has made this entry, and nothing that waits is still to be flushed: shows it.
  virtual void tell_gain(const Slot& slot, Entry entry) = 0;

  // A frame becomes free, or a root ends.
  void tell_before_reuse() {
    if (before_reuse_) tell_waiting();
  }
  void activate(PhysAddr root) {
    if (root == root_) return;
    root_ = root;
    load_root(root);
  }
  // A filled root begins.
  virtual void new_root(Frame) {}
  // The root and what only it linked are no tables any more. False: the interface does not know of roots, and
  // its user entries are told as lost.
  [[nodiscard]] virtual bool release_root(Frame) { return false; }

  // Between begin and end, nothing written is looked at.
  void begin() { lazy_ = true; }
  void end() {
    lazy_ = false;
    if (after_lazy_) tell_waiting();
  }

 protected:
  constexpr explicit Teller(Names names) : names_(names) {}
  ~Teller() = default;

  // Tells what waits, if that comes first; loading a root flushes.
  virtual void load_root(PhysAddr root) = 0;
  // The flush for it is still to come.
  virtual void tell_waiting() = 0;

  bool before_reuse_ = false;  // what waits must be told when a frame becomes free
  bool after_lazy_ = false;    // what waits must be told at end()
  bool lazy_ = false;
  bool unflushed_ = false;  // something was told without a flush

 private:
  Names names_;
  PhysAddr root_;
};

// What the hypervisor drops from its TLB with what it is told.
struct TellFlush {
  enum class Kind : u8 { kNone, kPage, kSpace, kEverything };
  Kind kind = Kind::kNone;
  Gva va;  // kPage
};

// A teller that has a queue `T`, whose class is derived from this one.
template <class T>
concept TellerQueue = requires(T t, const T& view, PhysAddr at, Gva va, Entry entry, TellFlush flush) {
  // The processor forgets what was lost when it is told, at the latest.
  { T::kTellingFlushes } -> std::convertible_to<bool>;
  // Remembers what lost() says. Precondition: !full().
  { t.put(at, at, va, 1u, entry) } -> std::same_as<void>;
  { view.waiting() } -> std::convertible_to<u64>;
  { view.full() } -> std::convertible_to<bool>;
  // Tells what waits, which may be nothing, and flushes.
  { t.tell(flush) } -> std::same_as<void>;
};

template <class T>
class QueueTeller : public Teller {
 public:
  using Teller::lost;
  void lost(PhysAddr entry, PhysAddr root, Gva va, unsigned level, Entry now) final {
    if (self().full()) [[unlikely]]
      return lost_when_full(entry, root, va, level, now);
    self().put(entry, root, va, level, now);
  }
  void flush_page(Gva va, FlushScope scope) final {
    if (self().waiting() == 1 && !unflushed_) {
      self().tell({TellFlush::Kind::kPage, va});
    } else {
      flush_scope(scope);
    }
  }
  void flush_all(FlushScope scope) final { flush_scope(scope); }

 protected:
  constexpr explicit QueueTeller(Names names) : Teller(names) { static_assert(TellerQueue<T>); }
  ~QueueTeller() = default;

  void make_room() {
    if (self().full()) [[unlikely]]
      tell_now();
  }
  void tell_waiting() final {
    if (self().waiting() != 0) tell_now();
  }

 private:
  T& self() { return static_cast<T&>(*this); }

  // Apart, so that lost() needs no frame.
  [[gnu::noinline]] void lost_when_full(PhysAddr entry, PhysAddr root, Gva va, unsigned level, Entry now) {
    tell_now();
    self().put(entry, root, va, level, now);
  }
  [[gnu::noinline]] void tell_now() {
    unflushed_ |= !T::kTellingFlushes && self().waiting() != 0;
    self().tell({});
  }
  void flush_scope(FlushScope scope) {
    if (self().waiting() == 0 && !unflushed_) return;  // flushed with what was told
    self().tell(
        {scope == FlushScope::kKernel ? TellFlush::Kind::kEverything : TellFlush::Kind::kSpace, Gva()});
    unflushed_ = false;
  }
};

}  // namespace nopte::pt
