// How a program says that it will use its memory: madvise(2)'s patterns and large pages, prctl(2)'s
// PR_SET_THP_DISABLE, and what /proc/self/smaps says of them. The same on Linux.
#include <sys/prctl.h>

#include <initializer_list>

#include "tests/boot/programs/smaps_checks.h"

namespace {

int advise(char* at, size_t pages, int advice) { return madvise(at, pages * kPage, advice); }

void a_pattern_splits_and_merges() {
  char* at = apart(12);
  CHECK(is(mapping_of(at), at, 12));
  CHECK(advise(at + 4 * kPage, 4, MADV_RANDOM) == 0);
  CHECK(is(mapping_of(at), at, 4));
  CHECK(is(mapping_of(at + 5 * kPage), at + 4 * kPage, 4));
  CHECK(flagged(at + 5 * kPage, "rr") && !flagged(at + 5 * kPage, "sr") && !flagged(at, "rr"));
  CHECK(advise(at + 6 * kPage, 4, MADV_SEQUENTIAL) == 0);
  CHECK(flagged(at + 5 * kPage, "rr") && flagged(at + 6 * kPage, "sr") && !flagged(at + 6 * kPage, "rr"));
  CHECK(is(mapping_of(at + 6 * kPage), at + 6 * kPage, 4));
  CHECK(advise(at, 12, MADV_NORMAL) == 0);
  CHECK(is(mapping_of(at), at, 12) && !flagged(at, "rr") && !flagged(at, "sr"));
  unmap_apart(at, 12);
}

void large_pages_are_asked_for_and_refused() {
  char* at = apart(8);
  CHECK(advise(at, 8, MADV_HUGEPAGE) == 0);
  CHECK(flagged(at, "hg") && !flagged(at, "nh"));
  CHECK(advise(at, 4, MADV_NOHUGEPAGE) == 0);
  CHECK(flagged(at, "nh") && !flagged(at, "hg") && flagged(at + 4 * kPage, "hg"));
  CHECK(advise(at, 8, MADV_RANDOM) == 0);
  CHECK(flagged(at, "nh") && flagged(at, "rr") && flagged(at + 4 * kPage, "rr"));
  CHECK(advise(at, 8, MADV_HUGEPAGE) == 0);
  CHECK(is(mapping_of(at), at, 8));
  unmap_apart(at, 8);
  const int file = new_file(2);
  char* shown = map_file(file, 2, PROT_READ, MAP_SHARED);
  CHECK(advise(shown, 2, MADV_HUGEPAGE) == 0 && flagged(shown, "hg"));
  CHECK(advise(shown, 2, MADV_NOHUGEPAGE) == 0 && flagged(shown, "nh"));
  CHECK(shown[kPage] == 'b');
  unmap(shown, 2);
  end_file(file);
}

void contents_and_rights_stay() {
  char* at = map(200);
  const int kAdvice[] = {MADV_RANDOM, MADV_SEQUENTIAL, MADV_NORMAL, MADV_HUGEPAGE, MADV_NOHUGEPAGE};
  for (int round = 0; round < 5; ++round) {
    CHECK(advise(at, 200, kAdvice[round]) == 0);
    for (int page = 0; page <= round; ++page) {
      CHECK(at[page * 40 * int(kPage)] == (page < round ? 'x' + page : 0));
    }
    at[round * 40 * int(kPage)] = char('x' + round);
    CHECK(zero(at + (size_t(round) * 40 + 1) * kPage, 39 * kPage));
  }
  CHECK(mprotect(at + kPage, kPage, PROT_READ) == 0);
  CHECK(advise(at, 200, MADV_SEQUENTIAL) == 0);
  CHECK(segv(fault_of_write(at + kPage), SEGV_ACCERR, at + kPage));
  unmap(at, 200);
}

void holes_are_reported_when_the_rest_is_done() {
  char* at = apart(6);
  unmap(at + 2 * kPage, 2);
  CHECK_ERRNO(advise(at, 6, MADV_RANDOM), ENOMEM);
  CHECK(flagged(at, "rr") && flagged(at + 4 * kPage, "rr"));
  CHECK_ERRNO(advise(at + 2 * kPage, 2, MADV_HUGEPAGE), ENOMEM);
  CHECK(advise(at + 2 * kPage, 0, MADV_RANDOM) == 0);
  unmap_apart(at, 6);
}

void what_is_malformed_is_refused() {
  char* at = map(2);
  for (const int advice : {MADV_RANDOM, MADV_NOHUGEPAGE}) {
    CHECK_ERRNO(madvise(at + 1, kPage, advice), EINVAL);
    CHECK_ERRNO(madvise(at, ~size_t{0}, advice), EINVAL);
  }
  CHECK_ERRNO(madvise(at, kPage, 5), EINVAL);
  CHECK_ERRNO(madvise(at, kPage, 1000), EINVAL);
  unmap(at, 2);
}

void it_is_inherited_and_kept() {
  char* at = apart(4);
  CHECK(advise(at, 4, MADV_SEQUENTIAL) == 0 && advise(at, 4, MADV_NOHUGEPAGE) == 0);
  CHECK(in_child([at] { return flagged(at, "sr") && flagged(at, "nh") && advise(at, 4, MADV_NORMAL) == 0; }));
  CHECK(flagged(at, "sr"));
  CHECK(mprotect(at, kPage, PROT_READ) == 0 && flagged(at, "sr") && flagged(at, "nh"));
  CHECK(advise(at, 4, MADV_DONTNEED) == 0 && flagged(at, "sr"));
  void* moved = mremap(at + kPage, 3 * kPage, 20 * kPage, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED && flagged(moved, "sr") && flagged(moved, "nh"));
  char* target = static_cast<char*>(moved);
  CHECK(flagged(target + 19 * kPage, "sr") && mapping_of(moved).size_kib >= 80);
  void* over = mmap(moved, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  CHECK(over == moved && !flagged(over, "sr") && !flagged(over, "nh"));
  unmap(target, 20);
  unmap(at - kPage, 6);
}

void smaps_tells_what_is_there() {
  char* at = apart(16);
  CHECK(advise(at, 16, MADV_RANDOM) == 0 && advise(at, 16, MADV_NOHUGEPAGE) == 0);
  Mapping mapping = mapping_of(at);
  CHECK(mapping.size_kib == 64 && mapping.rss_kib == 0 && mapping.huge_kib == 0);
  for (const size_t page : {0, 1, 2, 9, 15}) at[page * kPage] = 1;
  mapping = mapping_of(at);
  CHECK(mapping.rss_kib == 20 && mapping.huge_kib == 0);
  CHECK(flagged(mapping, "rd") && flagged(mapping, "wr") && !flagged(mapping, "ex") &&
        !flagged(mapping, "sh"));
  CHECK(flagged(mapping, "mr") && flagged(mapping, "mw") && flagged(mapping, "me") &&
        !flagged(mapping, "ms"));
  CHECK(advise(at, 3, MADV_DONTNEED) == 0);
  CHECK(mapping_of(at).rss_kib == 8);
  CHECK(mprotect(at, 16 * kPage, PROT_READ) == 0);
  mapping = mapping_of(at);
  CHECK(mapping.rss_kib == 8 && flagged(mapping, "rd") && !flagged(mapping, "wr"));
  unmap_apart(at, 16);
  char* shared = map(2, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK(flagged(shared, "sh") && flagged(shared, "ms"));
  unmap(shared, 2);
  char local = 0;
  CHECK(flagged(&local, "gd") && !flagged(at - kPage, "gd"));
  // As much as an address space is, and little of it there.
  char* vast = map(size_t{1} << 28, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
  mapping = mapping_of(vast);
  CHECK(mapping.size_kib >= 1L << 30 && mapping.rss_kib <= 64 && flagged(mapping, "nr"));
  unmap(vast, size_t{1} << 28);
}

void large_pages_can_be_switched_off() {
  CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0);
  CHECK_ERRNO(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 1), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_THP_DISABLE, 1, 1, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_THP_DISABLE, 1, 0, 1, 0), EINVAL);
  CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0);
  char* at = apart(4);
  CHECK(advise(at, 2, MADV_HUGEPAGE) == 0);
  CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
  // What was asked for stays asked for.
  CHECK(flagged(at, "hg") && !flagged(at + 2 * kPage, "nh") && is(mapping_of(at), at, 2));
  CHECK(in_child([] { return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1; }));
  CHECK(in_child([] {
    execl("/proc/self/exe", "memory_advice", "disabled", static_cast<char*>(nullptr));
    return false;
  }));
  at[0] = at[3 * kPage] = 1;
  char* later = map(4);
  later[0] = 1;
  // None comes, whoever asks for one.
  constexpr size_t kPages = 2048;
  char* large = map(kPages);
  CHECK(advise(large, kPages, MADV_HUGEPAGE) == 0);
  for (size_t page = 0; page < kPages; ++page) large[page * kPage] = 1;
  CHECK(mapping_of(large).huge_kib == 0);
  unmap(large, kPages);
  CHECK(in_child([] {
    return prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0;
  }));
  CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
  CHECK(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
  CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0 && flagged(at, "hg"));
  unmap_apart(at, 4);
  unmap(later, 4);
}

}  // namespace

// `unheard`: who has the memory does not know of the advice, so that more may be there than was touched.
int main(int argc, char** argv) {
  const bool heard = argc < 2 || strcmp(argv[1], "unheard") != 0;
  if (argc > 1 && heard) return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1 ? 0 : 1;
  start();
  check("a_pattern_splits_and_merges", a_pattern_splits_and_merges);
  check("large_pages_are_asked_for_and_refused", large_pages_are_asked_for_and_refused);
  check("contents_and_rights_stay", contents_and_rights_stay);
  check("holes_are_reported_when_the_rest_is_done", holes_are_reported_when_the_rest_is_done);
  check("what_is_malformed_is_refused", what_is_malformed_is_refused);
  check("it_is_inherited_and_kept", it_is_inherited_and_kept);
  if (heard) check("smaps_tells_what_is_there", smaps_tells_what_is_there);
  check("large_pages_can_be_switched_off", large_pages_can_be_switched_off);
  return finish();
}
