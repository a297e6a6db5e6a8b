// Among processes that sleep, each in a pipe of its own; and among as many that can run.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "experiments/workloads/curves/curves.h"
#include "experiments/workloads/curves/ring.h"
#include "experiments/workloads/mmlat/children.h"

namespace curves {
namespace {

using mmlat::reap;
using mmlat::spawn;

constexpr unsigned kFarSeconds = 1'000'000;

// Processes in a ring of pipes, this one the first of them: each gives on what it gets.
// Each has an alarm to come.
class Ring {
 public:
  explicit Ring(uint64_t count) : first_(make_pipe()), last_(first_) {
    for (uint64_t i = 1; i < count; ++i) {
      const Pipe in = last_, out = make_pipe();
      children_.push_back(spawn([&] {
        close(out.read_end);
        close(first_.write_end);
        alarm(kFarSeconds);
        while (receive(in.read_end)) send(out.write_end);
      }));
      close(in.read_end);
      close(out.write_end);
      last_ = out;
    }
  }
  ~Ring() {
    close(first_.write_end);
    for (const pid_t child : children_) reap(child);
    close(last_.read_end);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  void lap() const {
    send(first_.write_end);
    mmlat::expect(receive(last_.read_end), "the ring broke");
  }
  [[nodiscard]] const std::vector<pid_t>& children() const { return children_; }

 private:
  Pipe first_, last_;
  std::vector<pid_t> children_;
};

// Processes that wait in one pipe, of which whoever gets the byte gives it back.
class Crowd {
 public:
  explicit Crowd(uint64_t count) : to_(make_pipe()), back_(make_pipe()) {
    for (uint64_t i = 0; i < count; ++i) {
      children_.push_back(spawn([&] {
        close(to_.write_end);
        while (receive(to_.read_end)) send(back_.write_end);
      }));
    }
  }
  ~Crowd() {
    close(to_.write_end);
    for (const pid_t child : children_) reap(child);
    for (const int end : {to_.read_end, back_.read_end, back_.write_end}) close(end);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  void ask() const {
    send(to_.write_end);
    mmlat::expect(receive(back_.read_end), "the crowd is gone");
  }

 private:
  Pipe to_, back_;
  std::vector<pid_t> children_;
};

// Processes that give way to each other until they are told to end.
class Yielders {
 public:
  explicit Yielders(uint64_t count)
      : over_(static_cast<std::atomic<bool>*>(mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE,
                                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    mmlat::expect(over_ != MAP_FAILED, "mmap");
    for (uint64_t i = 1; i < count; ++i) {
      children_.push_back(spawn([this] {
        while (!*over_) sched_yield();
      }));
    }
  }
  ~Yielders() {
    *over_ = true;
    for (const pid_t child : children_) reap(child);
    munmap(over_, sizeof *over_);
  }
  Yielders(const Yielders&) = delete;
  Yielders& operator=(const Yielders&) = delete;

 private:
  std::atomic<bool>* over_;
  std::vector<pid_t> children_;
};

void allow_files(uint64_t count) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * count + 64);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void among_processes(uint64_t count) {
  allow_files(count);
  {
    const Ring ring(count);
    const Ring two(2);
    measure("processes-fork", count, 50, [] { reap(spawn([] {})); });
    measure("processes-pipe", count, 200, [&] { two.lap(); });
    measure("processes-hop", count, std::max<uint64_t>(2000 / count, 4), [&] { ring.lap(); }, count);
    uint64_t next = 0;
    measure("processes-kill", count, 500, [&] {
      const auto& all = ring.children();
      mmlat::expect(kill(all.empty() ? getpid() : all[(next += 7) % all.size()], 0) == 0, "kill");
    });
    measure("processes-waitany", count, 50, [] {
      const pid_t child = spawn([] {});
      mmlat::expect(waitpid(-1, nullptr, 0) == child, "waitpid");
    });
    measure("processes-group", count, 50, [] {
      const pid_t child = spawn([] { pause(); });
      mmlat::expect(setpgid(child, child) == 0, "setpgid");
      mmlat::expect(kill(-child, SIGTERM) == 0, "kill of a group");
      mmlat::expect(waitpid(-child, nullptr, 0) == child, "waitpid");
    });
    measure("processes-alarm", count, 200, [] {
      alarm(kFarSeconds / 2);
      alarm(0);
    });
  }
  {
    const Crowd crowd(count);
    measure("processes-crowd", count, 200, [&] { crowd.ask(); });
  }
  const Yielders yielders(count);
  measure("processes-yield", count, std::max<uint64_t>(2000 / count, 4), [] { sched_yield(); }, count);
}

}  // namespace curves
