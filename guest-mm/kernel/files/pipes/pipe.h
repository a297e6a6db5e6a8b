// Pipes and named pipes: an inode with a ring and two counts of open ends.
#pragma once

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/pipes/pipe_pages.h"
#include "guest-mm/kernel/files/pipes/pipe_ring.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::files {

inline constexpr u64 kMostPipeBytes = u64{1} << 31;
// The capacity that one gets for asking for `bytes`, at most kMostPipeBytes.
u64 pipe_capacity_for(u64 bytes);

class PipeInode final : public Inode {
 public:
  enum class Named : u8 { kNo, kYes };
  PipeInode(u32 permissions, Named name) : Inode(kModeFifo | permissions), named(name == Named::kYes) {}

  // As open(2) of a FIFO: blocks for the other side unless kOpenNonBlock (then kENXIO for a writer without
  // readers) or both ways. A pipe without a name (/proc/<pid>/fd leads to it) was made with both sides:
  // nobody waits there.
  ErrnoOr<Ref<File>> open(u32 flags) override;

  [[nodiscard]] u64 device_of_file_system() const override {
    return named ? Inode::device_of_file_system() : kPipeDevice;
  }
  i64 read(IoBuffer to, u64 bytes, u32 flags);
  i64 write(IoBuffer from, u64 bytes, u32 flags);
  // Waits until there is something to read, unless kOpenNonBlock: 1, 0 at the end, or a negative errno.
  i64 wait_for_data(u32 flags) { return ring.used() != 0 ? 1 : wait_for_a_writer(flags); }
  // Waits for `bytes` of room, unless kOpenNonBlock: 1, or a negative errno. -kEPIPE: nobody reads; the
  // thread was sent SIGPIPE.
  i64 wait_for_room(u64 bytes, u32 flags) {
    return readers != 0 && ring.room() >= bytes ? 1 : wait_for_a_reader(bytes, flags);
  }
  // To the ring's bytes: wakes who waited for what changed. The bytes themselves are put() and drop()'s.
  IoBuffer::Copied put(IoBuffer from, u64 bytes);
  void drop(u64 bytes);
  // Bytes went: wakes who waits for room, if that is news.
  void gained_room(u64 room_before);
  // F_SETPIPE_SZ: the new capacity, or a negative errno.
  i64 set_capacity(u64 bytes);
  [[nodiscard]] PipeInode* as_pipe() override { return this; }
  // What a read gives of a pipe that has packets. Precondition: it has.
  i64 read_packet(IoBuffer to, u64 bytes);
  // With kOpenDirect, packet by packet.
  i64 write_packets(IoBuffer from, u64 bytes, u32 flags);
  // Before its first end is made. False: its user has as many pages in pipes as it may.
  [[nodiscard]] bool begin();
  void attach(u32 flags);
  // With the last end goes what nobody read.
  void detach(u32 flags);

  PipeRing ring;
  // Who is in read() waits as a taker. Woken when the pipe stops being empty, gains PIPE_BUF of room, or an
  // end opens or closes.
  WaitQueue readers_queue;
  WaitQueue writers_queue;
  u32 readers = 0;
  u32 writers = 0;
  u64 reader_generation = 0;  // opens so far: a FIFO's opener waits for a change
  u64 writer_generation = 0;
  const bool named;
  bool polled = false;  // once: each write wakes readers then, for who wants to know of each (EPOLLET)

 private:
  i64 read_when_there_is(IoBuffer to, u64 bytes, u32 flags);
  i64 read_now(IoBuffer to, u64 bytes);
  i64 wait_for_a_writer(u32 flags);
  i64 wait_for_a_reader(u64 bytes, u32 flags);

  PipePages pages_;
};

struct PipeEnds {
  Ref<File> read_end;
  Ref<File> write_end;
};
// flags: kOpenNonBlock, kOpenDirect. kENFILE: no memory, or no more for this user.
ErrnoOr<PipeEnds> make_pipe(u32 flags);
// Null: no memory.
Ref<Inode> make_fifo(u32 permissions);

}  // namespace nopte::guest::files
