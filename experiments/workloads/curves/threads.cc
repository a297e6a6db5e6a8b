// Among threads of one space, each of which waits for a futex of its own.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "experiments/workloads/curves/curves.h"
#include "experiments/workloads/curves/ring.h"

namespace curves {
namespace {

constexpr size_t kStackBytes = 64 * 1024;
constexpr uint32_t kGo = 1, kEnd = 2;

pthread_t start(void* (*body)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_t thread{};
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  mmlat::expect(pthread_create(&thread, &attributes, body, argument) == 0, "pthread_create");
  pthread_attr_destroy(&attributes);
  return thread;
}

// Threads in a ring, this one the first of them: each gives the word on.
class Ring {
 public:
  explicit Ring(uint64_t count) : batons_(std::make_unique<Baton[]>(count)), members_(count) {
    for (uint64_t i = 1; i < count; ++i) {
      members_[i] = {&batons_[i], &batons_[(i + 1) % count]};
      threads_.push_back(start(pass_on, &members_[i]));
    }
    lap();
  }
  ~Ring() {
    if (!threads_.empty()) batons_[1].give(kEnd);
    for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  void lap() const {
    batons_[threads_.empty() ? 0 : 1].give(kGo);
    batons_[0].take();
  }

 private:
  struct Member {
    Baton* mine;
    Baton* next;
  };
  static void* pass_on(void* argument) {
    const Member& member = *static_cast<Member*>(argument);
    uint32_t what;
    do {
      what = member.mine->take();
      member.next->give(what);
    } while (what == kGo);
    return nullptr;
  }

  std::unique_ptr<Baton[]> batons_;
  std::vector<Member> members_;
  std::vector<pthread_t> threads_;
};

// Threads that wait for one word, of which whoever gets it gives it back.
class Crowd {
 public:
  explicit Crowd(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) threads_.push_back(start(give_back, this));
    ask();
  }
  ~Crowd() {
    for (size_t i = 0; i < threads_.size(); ++i) {
      to_.give(kEnd);
      back_.take();
    }
    for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  void ask() {
    to_.give(kGo);
    back_.take();
  }

 private:
  static void* give_back(void* argument) {
    Crowd& crowd = *static_cast<Crowd*>(argument);
    uint32_t what;
    do {
      what = crowd.to_.take();
      crowd.back_.give(what);
    } while (what == kGo);
    return nullptr;
  }

  Baton to_{}, back_{};
  std::vector<pthread_t> threads_;
};

void* nothing(void*) { return nullptr; }

}  // namespace

void among_threads(uint64_t count) {
  {
    Crowd crowd(count);
    measure("threads-crowd", count, 200, [&] { crowd.ask(); });
  }
  const Ring ring(count);
  const Ring two(2);
  measure("threads-futex", count, 200, [&] { two.lap(); });
  measure("threads-hop", count, std::max<uint64_t>(2000 / count, 4), [&] { ring.lap(); }, count);
  measure("threads-create", count, 50, [] { pthread_join(start(nothing, nullptr), nullptr); });
  signal(SIGUSR1, [](int) {});
  measure("threads-signal", count, 200, [] { mmlat::expect(kill(getpid(), SIGUSR1) == 0, "kill"); });
  Baton nobody{};
  measure("threads-wake", count, 500, [&] { nobody.give(0); });
  measure("threads-map", count, 200, [] {
    void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mmlat::expect(page != MAP_FAILED, "mmap");
    *static_cast<volatile char*>(page) = 1;
    munmap(page, 4096);
  });
}

}  // namespace curves
