// Many operations one after the other, held against a model.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

// Numbers that are the same everywhere.
class Dice {
 public:
  explicit Dice(u64 seed) : state_(seed) {}
  u64 below(u64 limit) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (state_ >> 33) % limit;
  }

 private:
  u64 state_;
};

// Some spaces of anonymous memory, and what they should hold.
class AnonymousRun {
 public:
  AnonymousRun(Scene& scene, u64 seed) : s(scene), dice_(seed) {
    spaces_[0].id = s.create_active();
    spaces_[0].lives = true;
  }

  void step(u64 number) {
    Space& space = spaces_[any_living()];
    const u64 page = dice_.below(kPages);
    const u64 pages = 1 + dice_.below(kPages - page);
    switch (dice_.below(12)) {
      case 0:
      case 1:
        return map(space, page, pages);
      case 2:
        EXPECT(s.unmap(space.id, page, pages) == kOk);
        for (u64 i = page; i < page + pages; ++i) space.pages[i] = {};
        return;
      case 3:
      case 4:
        return protect(space, page, pages);
      case 5:
        return move(space, page);
      case 6:
        EXPECT(s.advise(space.id, page, pages, Advice::kDontNeed) == kOk);
        for (u64 i = page; i < page + pages; ++i) space.pages[i].value = 0;
        return;
      case 7:
        EXPECT(s.advise(space.id, page, pages, Advice::kPopulate) == kOk);
        return;
      case 8:
        return clone_or_destroy(space);
      default:
        return touch(space, page, number);
    }
  }
  // Everything is as it should be.
  void check() {
    for (Space& space : spaces_) {
      if (!space.lives) continue;
      s.activate(space.id);
      for (u64 i = 0; i < kPages; ++i) look(space.pages[i], i);
    }
  }

 private:
  static constexpr u64 kPages = 20;
  struct Page {
    bool promised = false;
    Perm perm;
    u64 value = 0;
  };
  struct Space {
    bool lives = false;
    SpaceId id = SpaceId::kKernel;
    std::array<Page, kPages> pages{};
  };

  u64 any_living() {
    u64 i = dice_.below(spaces_.size());
    while (!spaces_[i].lives) i = (i + 1) % spaces_.size();
    return i;
  }
  void look(const Page& page, u64 number) {
    const auto got = s.load(number);
    EXPECT(page.promised ? (page.perm.none() ? fails(got, kPermission) : is(got, page.value))
                         : fails(got, kNoRegion));
  }
  Perm any_perm() {
    static constexpr Perm kPerms[] = {kPermRW, kPermRW, kPermR, kPermNone};
    return kPerms[dice_.below(4)];
  }
  // Every page of the range is promised, or none is.
  static bool all(const Space& space, u64 page, u64 pages, bool promised) {
    for (u64 i = page; i < page + pages; ++i) {
      if (space.pages[i].promised != promised) return false;
    }
    return true;
  }
  void map(Space& space, u64 page, u64 pages) {
    if (!all(space, page, pages, false)) return;
    const Perm perm = any_perm();
    EXPECT(s.map(space.id, page, pages, perm) == kOk);
    for (u64 i = page; i < page + pages; ++i) space.pages[i] = {true, perm, 0};
  }
  void protect(Space& space, u64 page, u64 pages) {
    if (!all(space, page, pages, true)) return;
    const Perm perm = any_perm();
    EXPECT(s.protect(space.id, page, pages, perm) == kOk);
    for (u64 i = page; i < page + pages; ++i) space.pages[i].perm = perm;
  }
  void move(Space& space, u64 page) {
    const u64 to = dice_.below(kPages);
    if (!space.pages[page].promised || space.pages[to].promised) return;
    EXPECT(s.move(space.id, page, 1, to) == kOk);
    space.pages[to] = space.pages[page];
    space.pages[page] = {};
  }
  void clone_or_destroy(Space& space) {
    for (Space& other : spaces_) {
      if (other.lives) continue;
      other = space;
      other.id = s.make_clone(space.id);
      return;
    }
    Space& gone = spaces_[any_living()];
    if (&gone == &space) return;
    s.activate(space.id);
    s.destroy(gone.id);
    gone.lives = false;
  }
  void touch(Space& space, u64 number, u64 value) {
    Page& page = space.pages[number];
    s.activate(space.id);
    const Status status = s.store(number, value);
    EXPECT(status == (!page.promised ? kNoRegion : page.perm.write() ? kOk : kPermission));
    if (status == kOk) page.value = value;
    look(page, number);
  }

  Scene& s;
  Dice dice_;
  std::array<Space, 3> spaces_{};
};

// An object shown as it is and privately, in a space and its clone.
class ObjectRun {
 public:
  ObjectRun(Scene& scene, u64 seed) : s(scene), dice_(seed), object_(s.make_object(kPages)) {
    spaces_[0].id = s.create_active();
    EXPECT(s.map_object(spaces_[0].id, 0, kPages, object_, 0, Sharing::kShared) == kOk);
    EXPECT(s.map_object(spaces_[0].id, kPrivate, kPages, object_, 0, Sharing::kPrivate) == kOk);
    spaces_[1].id = s.make_clone(spaces_[0].id);
  }

  void step(u64 number) {
    Space& space = spaces_[dice_.below(2)];
    const u64 page = dice_.below(kPages);
    s.activate(space.id);
    switch (dice_.below(10)) {
      case 0:
        return resize(dice_.below(kPages + 1));
      case 1:
        EXPECT(s.advise(space.id, kPrivate + page, 1, Advice::kDontNeed) == kOk);
        space.copies[page].reset();
        return;
      case 2:
        EXPECT(s.advise(space.id, page, 1, Advice::kDontNeed) == kOk);
        return;
      case 3:
        return clone(space);
      case 4:
      case 5:
        EXPECT(s.store(page, number) == (page < size_ ? kOk : kPastEnd));
        if (page < size_) values_[page] = number;
        return;
      case 6:
      case 7:
        EXPECT(s.store(kPrivate + page, number) == (page < size_ ? kOk : kPastEnd));
        if (page < size_) space.copies[page] = number;
        return;
      default:
        return look(space, page);
    }
  }
  void check() {
    for (Space& space : spaces_) {
      s.activate(space.id);
      for (u64 page = 0; page < kPages; ++page) look(space, page);
    }
  }

 private:
  static constexpr u64 kPages = 12;
  static constexpr u64 kPrivate = 700;  // where the private mapping begins
  struct Space {
    SpaceId id = SpaceId::kKernel;
    std::array<std::optional<u64>, kPages> copies{};
  };

  void look(const Space& space, u64 page) {
    const auto shared = s.load(page);
    const auto own = s.load(kPrivate + page);
    if (page >= size_) {
      EXPECT(fails(shared, kPastEnd) && fails(own, kPastEnd));
      return;
    }
    EXPECT(is(shared, values_[page]));
    EXPECT(is(own, space.copies[page] ? *space.copies[page] : values_[page]));
  }
  void resize(u64 pages) {
    EXPECT(s.resize(object_, pages) == kOk);
    for (u64 page = pages; page < kPages; ++page) {
      values_[page] = 0;
      for (Space& space : spaces_) space.copies[page].reset();
    }
    size_ = pages;
  }
  // The other space becomes a clone of this one.
  void clone(Space& space) {
    Space& other = spaces_[&space == &spaces_[0] ? 1 : 0];
    s.destroy(other.id);
    other.copies = space.copies;
    other.id = s.make_clone(space.id);
  }

  Scene& s;
  Dice dice_;
  ObjectId object_;
  u64 size_ = kPages;
  std::array<u64, kPages> values_{};
  std::array<Space, 2> spaces_{};
};

template <class Run>
void run(Scene& s, u64 seed) {
  Run run(s, seed);
  for (u64 number = 1; number <= 500 && s.failure() == nullptr; ++number) run.step(number);
  run.check();
}

void a_long_run_over_anonymous_memory(Scene& s) { run<AnonymousRun>(s, 1); }
void another_long_run_over_anonymous_memory(Scene& s) { run<AnonymousRun>(s, 2); }
void a_long_run_over_an_object(Scene& s) { run<ObjectRun>(s, 3); }

constexpr Case kLongRunsCases[] = {
    CASE(a_long_run_over_anonymous_memory, region_map, region_unmap, region_protect, region_move,
         region_advise, space_clone),
    CASE(another_long_run_over_anonymous_memory, region_map, region_unmap, region_protect, region_move,
         region_advise, space_clone),
    CASE(a_long_run_over_an_object, object_resize, region_advise, space_clone),
};

}  // namespace

std::span<const Case> long_runs_cases() { return kLongRunsCases; }

}  // namespace nopte::conformance
