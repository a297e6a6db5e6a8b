// System V shared memory. The same on Linux.
#include <grp.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "tests/boot/programs/ipc_checks.h"

namespace {

int made(size_t bytes, int flags = 0600) {
  const int id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | flags);
  CHECK(id >= 0);
  return id;
}
shmid_ds status(int id) {
  shmid_ds status{};
  CHECK(shmctl(id, IPC_STAT, &status) == 0);
  return status;
}
void remove(int id) { CHECK(shmctl(id, IPC_RMID, nullptr) == 0); }
char* attach(int id, void* at = nullptr, int flags = 0) {
  void* got = shmat(id, at, flags);
  CHECK(got != reinterpret_cast<void*>(-1));
  return static_cast<char*>(got);
}

void keys_find_segments() {
  CHECK_ERRNO(shmget(kNewKey, kPage, 0), ENOENT);
  CHECK_ERRNO(shmget(kNewKey, 0, IPC_CREAT | 0600), EINVAL);
  CHECK_ERRNO(shmget(kNewKey, ~size_t{0}, IPC_CREAT | 0600), EINVAL);
  const int id = shmget(kNewKey, 2 * kPage + 1, IPC_CREAT | IPC_EXCL | 0640);
  CHECK(id >= 0 && shmget(kNewKey, 0, 0) == id && shmget(kNewKey, 2 * kPage + 1, IPC_CREAT) == id);
  CHECK_ERRNO(shmget(kNewKey, kPage, IPC_CREAT | IPC_EXCL), EEXIST);
  CHECK_ERRNO(shmget(kNewKey, 2 * kPage + 2, 0), EINVAL);
  const shmid_ds all = status(id);
  CHECK(all.shm_segsz == 2 * kPage + 1 && all.shm_nattch == 0 && all.shm_perm.mode == 0640);
  CHECK(all.shm_perm.__key == kNewKey && all.shm_cpid == getpid() && all.shm_lpid == 0);
  CHECK(all.shm_atime == 0 && all.shm_dtime == 0 && all.shm_ctime != 0);
  remove(id);
  CHECK_ERRNO(shmget(kNewKey, kPage, 0), ENOENT);
  CHECK_ERRNO(shmctl(id, IPC_STAT, nullptr), EINVAL);
  const int other = made(kPage);
  CHECK(other != id);
  remove(other);
}

void attaching_has_its_rules() {
  const int id = made(2 * kPage);
  char* at = attach(id);
  at[5] = 7;
  CHECK(attach(id) != at && status(id).shm_nattch == 2);
  CHECK_ERRNO(shmat(id, at, 0), EINVAL);
  CHECK_ERRNO(shmat(id, at + 1, 0), EINVAL);
  CHECK_ERRNO(shmat(id, nullptr, SHM_REMAP), EINVAL);
  CHECK_ERRNO(shmat(-1, nullptr, 0), EINVAL);
  CHECK_ERRNO(shmat(id + 1, nullptr, 0), EINVAL);
  char* room = map(8);
  CHECK(munmap(room, 8 * kPage) == 0);
  CHECK(attach(id, room + kPage + 9, SHM_RND) == room + kPage && room[kPage + 5] == 7);
  CHECK_ERRNO(shmat(id, room, 0), EINVAL);
  CHECK(attach(id, room + 2 * kPage, SHM_REMAP) == room + 2 * kPage && room[2 * kPage + 5] == 7);
  CHECK(status(id).shm_nattch == 4);
  const char* read_only = attach(id, nullptr, SHM_RDONLY);
  CHECK(read_only[5] == 7 && fault_of_write(const_cast<char*>(read_only)).signal == SIGSEGV);
  CHECK_ERRNO(mprotect(const_cast<char*>(read_only), kPage, PROT_READ | PROT_WRITE), EACCES);
  remove(id);
  CHECK(shmdt(at) == 0);
}

void detaching_has_its_rules() {
  const int id = made(4 * kPage);
  char* at = attach(id);
  CHECK_ERRNO(shmdt(at + kPage), EINVAL);
  CHECK_ERRNO(shmdt(at + 1), EINVAL);
  char* other = map(1);
  CHECK_ERRNO(shmdt(other), EINVAL);
  unmap(other, 1);
  CHECK(munmap(at + kPage, kPage) == 0 && status(id).shm_nattch == 2);
  CHECK(shmdt(at) == 0 && status(id).shm_nattch == 0 && status(id).shm_dtime != 0);
  CHECK(!readable(at) && !readable(at + 3 * kPage));
  CHECK_ERRNO(shmdt(at), EINVAL);
  // Its first page gone, it is still found.
  at = attach(id);
  unmap(at, 1);
  CHECK(shmdt(at) == 0 && !readable(at + 2 * kPage));
  remove(id);
}

void removed_it_lives_until_nobody_has_it() {
  const int id = shmget(kNewKey, kPage, IPC_CREAT | 0600);
  char* at = attach(id);
  strcpy(at, "still there");
  remove(id);
  CHECK_ERRNO(shmget(kNewKey, kPage, 0), ENOENT);
  const shmid_ds all = status(id);
  CHECK((all.shm_perm.mode & SHM_DEST) != 0 && all.shm_perm.__key == IPC_PRIVATE && all.shm_nattch == 1);
  char* again = attach(id);
  CHECK(strcmp(again, "still there") == 0 && shmdt(again) == 0);
  CHECK(shmdt(at) == 0);
  shmid_ds gone;
  CHECK_ERRNO(shmctl(id, IPC_STAT, &gone), EINVAL);
}

void children_have_it_until_they_exec_or_end() {
  const int id = made(kPage);
  volatile char* at = attach(id);
  const int code = status_of_child([&] {
    CHECK(status(id).shm_nattch == 2);
    at[0] = 9;
  });
  CHECK(code == 0 && at[0] == 9 && status(id).shm_nattch == 1);
  remove(id);
  CHECK(in_child(
      [&] { return at[0] == 9 && status(id).shm_nattch == 2 && shmdt(const_cast<char*>(at)) == 0; }));
  CHECK(at[0] == 9 && status(id).shm_nattch == 1 && status(id).shm_lpid > 0);
  CHECK(shmdt(const_cast<char*>(at)) == 0);
}

void owners_and_rights_change() {
  const int id = made(kPage);
  shmid_ds all = status(id);
  all.shm_perm.mode = 0123;
  all.shm_perm.uid = 5;
  all.shm_perm.gid = 6;
  CHECK(shmctl(id, IPC_SET, &all) == 0);
  all = status(id);
  CHECK(all.shm_perm.uid == 5 && all.shm_perm.gid == 6 && all.shm_perm.mode == 0123);
  CHECK(all.shm_perm.cuid == geteuid() && all.shm_perm.cgid == getegid());
  CHECK(shmctl(id, SHM_LOCK, nullptr) == 0 && (status(id).shm_perm.mode & SHM_LOCKED) != 0);
  CHECK(shmctl(id, SHM_UNLOCK, nullptr) == 0 && (status(id).shm_perm.mode & SHM_LOCKED) == 0);
  CHECK_ERRNO(shmctl(id, IPC_SET, reinterpret_cast<shmid_ds*>(1)), EFAULT);
  CHECK_ERRNO(shmctl(id, IPC_STAT, reinterpret_cast<shmid_ds*>(1)), EFAULT);
  CHECK_ERRNO(shmctl(id, 77, &all), EINVAL);
  CHECK_ERRNO(shmctl(-1, IPC_STAT, &all), EINVAL);
  remove(id);
  CHECK_ERRNO(shmctl(id, IPC_RMID, nullptr), EINVAL);
}

void the_system_tells_of_all() {
  const int id = made(3 * kPage);
  char* at = attach(id);
  shminfo bounds{};
  shm_info use{};
  const int last = shmctl(0, IPC_INFO, reinterpret_cast<shmid_ds*>(&bounds));
  CHECK(last >= 0 && bounds.shmmin == 1 && bounds.shmmni == 4096);
  CHECK(shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&use)) == last && use.used_ids >= 1 &&
        use.shm_tot >= 3);
  bool found = false;
  for (int slot = 0; slot <= last; ++slot) {
    shmid_ds one;
    found = found || shmctl(slot, SHM_STAT, &one) == id;
    CHECK(shmctl(slot, SHM_STAT, &one) == shmctl(slot, SHM_STAT_ANY, &one));
  }
  CHECK(found);
  CHECK(head_of("/proc/sysvipc/shm") ==
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      "
        "atime"
        "      dtime      ctime                   rss                  swap");
  int key, got, cpid, lpid;
  unsigned mode;
  unsigned long size, attached;
  CHECK(sscanf(line_of("/proc/sysvipc/shm", id).c_str(), "%d %d %o %lu %d %d %lu", &key, &got, &mode, &size,
               &cpid, &lpid, &attached) == 7);
  CHECK(key == 0 && mode == 0600 && size == 3 * kPage && cpid == getpid() && lpid == getpid() &&
        attached == 1);
  char line[64];
  snprintf(line, sizeof line, "/SYSV%08x (deleted)", 0);
  CHECK(text_of("/proc/self/maps").find(line) != std::string::npos);
  CHECK(shmdt(at) == 0);
  remove(id);
  CHECK(line_of("/proc/sysvipc/shm", id).empty());
}

// remap_file_pages takes a mapping away before it makes another of the same.
int remap(char* at, size_t pages) { return int(syscall(SYS_remap_file_pages, at, pages * kPage, 0, 0, 0)); }
void remapping_what_was_removed() {
  const int id = made(2 * kPage);
  char* at = attach(id);
  at[0] = 5;
  CHECK(remap(at, 1) == 0 && at[0] == 5 && status(id).shm_nattch == 1);
  remove(id);
  CHECK(remap(at, 1) == 0 && at[0] == 5);
  CHECK_ERRNO(remap(at, 2), EINVAL);
  CHECK_ERRNO(remap(at, 2), EINVAL);
  CHECK_ERRNO(shmdt(at), EINVAL);
  shmid_ds gone;
  CHECK_ERRNO(shmctl(id, IPC_STAT, &gone), EINVAL);

  const int again = made(kPage);
  char* one = attach(again);
  char* other = attach(again);
  other[0] = 6;
  remove(again);
  CHECK(remap(one, 1) == 0 && one[0] == 6 && status(again).shm_nattch == 2);
  CHECK(shmdt(one) == 0 && remap(other, 1) == -1 && errno == EINVAL);
}

void large_pages_are_not_reserved() {
  const int id = shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | SHM_HUGETLB | 0600);
  CHECK(id == -1 && (errno == ENOMEM || errno == EPERM));
  CHECK(status_of_child([] {
          // Group 0 may have them (vm.hugetlb_shm_group).
          CHECK(setgroups(0, nullptr) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
          CHECK_ERRNO(shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | SHM_HUGETLB | 0600), EPERM);
        }) == 0);
}

}  // namespace

int main() {
  start();
  check("keys find segments", keys_find_segments);
  check("attaching has its rules", attaching_has_its_rules);
  check("detaching has its rules", detaching_has_its_rules);
  check("removed, it lives until nobody has it", removed_it_lives_until_nobody_has_it);
  check("children have it until they end", children_have_it_until_they_exec_or_end);
  check("owners and rights change", owners_and_rights_change);
  check("the system tells of all", the_system_tells_of_all);
  check("remapping what was removed", remapping_what_was_removed);
  check("large pages are not reserved", large_pages_are_not_reserved);
  return finish();
}
