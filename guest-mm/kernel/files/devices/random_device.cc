// /dev/random and urandom, and getrandom (drivers/char/random.c of Linux). Nothing ever has to be waited for.
#include <algorithm>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/devices/memory_devices.h"
#include "guest-mm/kernel/system/random.h"

namespace nopte::guest {

namespace files {

namespace {

// As many as fit before bad memory, or until a signal comes, which is looked at once a page.
i64 give_random(IoBuffer to, u64 bytes) {
  u64 done = 0;
  while (done < bytes) {
    u64 buffer[64];
    const u64 piece = std::min<u64>(bytes - done, sizeof buffer);
    fill_random(buffer, piece);
    const IoBuffer::Copied copied = to.after(done).put(buffer, piece);
    done += copied.bytes;
    if (copied.status != Status::kOk) {
      return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
    }
    if (done % kPageBytes == 0 && signal_pending()) {
      break;
    }
  }
  return static_cast<i64>(done);
}

// uapi/linux/random.h
enum RandomRequest : u32 {
  kGetEntropyCount = 0x8004'5200,
  kAddToEntropyCount = 0x4004'5201,
  kZapEntropyCount = 0x5204,
  kClearPool = 0x5206,
  kReseed = 0x5207,
};

// What is written, or said to be entropy, changes nothing: the sequence is the kernel's.
class RandomFile final : public File {
 public:
  RandomFile(Ref<Inode> node, u32 flags, u32 events) : File(std::move(node), flags), events_(events) {}
  [[nodiscard]] bool seekable() const override { return true; }  // lseek answers 0
  u32 poll() override { return events_; }
  i64 read(IoBuffer to, u64 bytes, u64) override { return give_random(to, bytes); }
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override {
    u64 done = 0;
    while (done < bytes) {
      char buffer[512];
      const IoBuffer::Copied copied =
          from.after(done).get(buffer, std::min<u64>(bytes - done, sizeof buffer));
      done += copied.bytes;
      if (copied.status != Status::kOk) {
        return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
      }
    }
    return static_cast<i64>(done);
  }
  i64 ioctl(u32 request, u64 argument) override {
    i32 bits = kRandomPoolBits;
    switch (request) {
      case kGetEntropyCount:
        return put_user(argument, bits);
      case kAddToEntropyCount: {
        const i64 error = get_user(bits, argument);
        return error == 0 && bits < 0 ? -kEINVAL : error;
      }
      case kZapEntropyCount:
      case kClearPool:
      case kReseed:
        return 0;
      default:
        return -kEINVAL;
    }
  }

 private:
  u32 events_;
};

}  // namespace

Ref<File> open_random(Ref<Inode> node, u32 flags) {
  return make_counted<RandomFile>(std::move(node), flags, kPollIn | kPollReadNormal);
}
Ref<File> open_urandom(Ref<Inode> node, u32 flags) {
  return make_counted<RandomFile>(std::move(node), flags,
                                  kPollIn | kPollOut | kPollReadNormal | kPollWriteNormal);
}

}  // namespace files

i64 sys_getrandom(const SyscallArgs& args) {
  constexpr u32 kNonBlock = 1;
  constexpr u32 kRandom = 2;
  constexpr u32 kInsecure = 4;
  const u32 flags = static_cast<u32>(args.a2);
  if ((flags & ~(kNonBlock | kRandom | kInsecure)) != 0 ||
      (flags & (kRandom | kInsecure)) == (kRandom | kInsecure)) {
    return -kEINVAL;
  }
  return files::give_random(files::IoBuffer::user(args.a0), std::min(args.a1, files::kTransferLimit));
}

}  // namespace nopte::guest
