// The entry primitive, and questions, for an image whose tables are the processor's or are made true by more
// than a store, which boot decides once (sinks/either_sink.h). A place that depends on it is a *site*: one
// instruction of at least five bytes, which is that load, store or exchange itself, or does nothing where
// there is none. As linked it is the bare machine's, which pays nothing at an entry and one instruction for a
// question. Where more is to be done boot writes a jump over it, to what does that.
//
// A site is a row of the section .entry_sites: where it is and where its jump leads, each from the word that
// says so on, and when. A hosted build, whose code nobody rewrites, has a branch.
//
// What only a jump leads to should need numbers alone, not objects: the compiler keeps an object that is
// passed on in memory, and fills it before the site.
//
// Concurrency: boot's, before anything else.
#pragma once

#include "native-fallback/tables/entry.h"

namespace nopte::pt {

// When a site is not as linked.
enum class Site : u8 {
  kTold,        // a change of an entry is more than a store
  kTranslated,  // and so is reading one: it is not what was written
};

#ifdef NOPTE_FREESTANDING

#define NOPTE_SITE(instruction)                     \
  "771: " instruction                               \
  "\n\t.pushsection .entry_sites, \"a\", @progbits" \
  "\n\t.long 771b - ."                              \
  "\n\t.long %l[elsewhere] - ."                     \
  "\n\t.long %c[site]"                              \
  "\n\t.popsection"

class EntrySites {
 public:
  // Rewrites all sites. Precondition: the code can be written.
  static void use(bool translated);

  template <Site site>
  [[nodiscard, gnu::always_inline]] static bool is() {
    asm goto(NOPTE_SITE(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00") : : [site] "i"(site) : : elsewhere);
    return false;
  elsewhere:
    __attribute__((cold));
    return true;
  }
  // As load_entry(), store_entry() and exchange_entry() do; false: nothing has been done, more is needed.
  template <Site site>
  [[nodiscard, gnu::always_inline]] static bool load(const u8* table, unsigned index, Entry& entry) {
    u64 word;
    asm goto(NOPTE_SITE("%{disp32%} movq %[from], %[word]")
             : [word] "=r"(word)
             : [site] "i"(site), [from] "m"(word_of(table, index))
             :
             : elsewhere);
    entry = Entry(word);
    return true;
  elsewhere:
    __attribute__((cold));
    return false;
  }
  template <Site site>
  [[nodiscard, gnu::always_inline]] static bool store(u8* table, unsigned index, Entry entry) {
    asm goto(NOPTE_SITE("%{disp32%} movq %[word], %[to]")
             : [to] "=m"(word_of(table, index))
             : [site] "i"(site), [word] "er"(entry.word())
             :
             : elsewhere);
    return true;
  elsewhere:
    __attribute__((cold));
    return false;
  }
  template <Site site>
  [[nodiscard, gnu::always_inline]] static bool exchange(u8* table, unsigned index, Entry expected,
                                                         Entry desired, Entry& old) {
    u64 seen = expected.word();
    bool done;
    asm goto(NOPTE_SITE("lock cmpxchgq %[word], %[to]")
             : "+a"(seen), "=@ccz"(done), [to] "+m"(word_of(table, index))
             : [site] "i"(site), [word] "r"(desired.word())
             :
             : elsewhere);
    old = done ? expected : exchange_seen(table, index, Entry(seen), desired);
    return true;
  elsewhere:
    __attribute__((cold));
    return false;
  }

 private:
  // There was another entry than expected.
  [[gnu::noinline, gnu::cold]] static Entry exchange_seen(u8* table, unsigned index, Entry seen,
                                                          Entry desired) {
    constexpr u64 kMarks = Entry::kAccessed | Entry::kDirty;
    return exchange_entry(table, index, seen,
                          desired.holds_frame() ? desired.with(seen.word() & kMarks) : desired);
  }
  static u64& word_of(u8* table, unsigned index) { return reinterpret_cast<u64*>(table)[index]; }
  static const u64& word_of(const u8* table, unsigned index) {
    return reinterpret_cast<const u64*>(table)[index];
  }
};

#else

class EntrySites {
 public:
  void use(bool translated) {
    told_ = true;
    translated_ = translated;
  }
  template <Site site>
  [[nodiscard]] bool is() const {
    return site == Site::kTold ? told_ : translated_;
  }
  template <Site site>
  [[nodiscard]] bool load(const u8* table, unsigned index, Entry& entry) const {
    if (is<site>()) return false;
    entry = load_entry(table, index);
    return true;
  }
  template <Site site>
  [[nodiscard]] bool store(u8* table, unsigned index, Entry entry) const {
    if (is<site>()) return false;
    store_entry(table, index, entry);
    return true;
  }
  template <Site site>
  [[nodiscard]] bool exchange(u8* table, unsigned index, Entry expected, Entry desired, Entry& old) const {
    if (is<site>()) return false;
    old = exchange_entry(table, index, expected, desired);
    return true;
  }

 private:
  bool told_ = false;
  bool translated_ = false;
};

#endif

}  // namespace nopte::pt
