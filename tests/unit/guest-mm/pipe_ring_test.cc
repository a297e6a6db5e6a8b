#include "guest-mm/kernel/files/pipes/pipe_ring.h"

#include <random>

#include "tests/unit/guest-mm/files_fixture.h"

namespace nopte::guest::files {
namespace {

class PipeRingTest : public FilesTest {};

TEST_F(PipeRingTest, IsAQueueOfBytes) {
  std::mt19937_64 random(3);
  PipeRing ring;
  std::string model;
  char next = 0;
  for (int step = 0; step < 20'000; ++step) {
    const u64 bytes = random() % (random() % 4 == 0 ? 70'000 : 500);
    std::string text(bytes, 0);
    if (random() % 2 == 0) {
      for (char& c : text) {
        c = next++;
      }
      const IoBuffer::Copied put = ring.put(IoBuffer::kernel(static_cast<const void*>(text.data())), bytes);
      ASSERT_EQ(put.status, Status::kOk);
      ASSERT_EQ(put.bytes, std::min(bytes, PipeRing::kUsualCapacityBytes - model.size()));
      model += text.substr(0, put.bytes);
      next = static_cast<char>(next - static_cast<char>(bytes - put.bytes));
    } else {
      const IoBuffer::Copied taken = ring.take(IoBuffer::kernel(static_cast<void*>(text.data())), bytes);
      ASSERT_EQ(taken.bytes, std::min<u64>(bytes, model.size()));
      ASSERT_EQ(text.substr(0, taken.bytes), model.substr(0, taken.bytes));
      model.erase(0, taken.bytes);
    }
    ASSERT_EQ(ring.used(), model.size());
    ASSERT_EQ(ring.room(), PipeRing::kUsualCapacityBytes - model.size());
  }
}

TEST_F(PipeRingTest, WhatAFaultKeepsFromLeavingStays) {
  PipeRing ring;
  ASSERT_EQ(ring.put(IoBuffer::kernel(static_cast<const void*>("precious")), 8).bytes, 8u);
  char target[8] = {};
  const Gva begin(reinterpret_cast<u64>(target));
  arch.bad = {{begin, begin + 8}};
  EXPECT_EQ(ring.take(IoBuffer::user(begin.value()), 8).bytes, 0u);
  EXPECT_EQ(ring.put(IoBuffer::user(begin.value()), 8).bytes, 0u);
  EXPECT_EQ(ring.used(), 8u);
  arch.bad.clear();
  EXPECT_EQ(ring.take(IoBuffer::user(begin.value()), 8).bytes, 8u);
  EXPECT_EQ(std::string(target, 8), "precious");
}

TEST_F(PipeRingTest, GrowsOnlyWhenItMust) {
  PipeRing ring;
  const std::string text(5000, 'p');
  ASSERT_EQ(ring.put(IoBuffer::kernel(static_cast<const void*>(text.data())), 4000).bytes, 4000u);
  ASSERT_EQ(ring.put(IoBuffer::kernel(static_cast<const void*>(text.data())), 96).bytes, 96u);
  mm.forbid_kmem(true);
  // Whether the heap still has a block or not: bytes that went in come out.
  const u64 more = ring.put(IoBuffer::kernel(static_cast<const void*>(text.data())), 5000).bytes;
  mm.forbid_kmem(false);
  std::string back(10'000, 0);
  EXPECT_EQ(ring.take(IoBuffer::kernel(static_cast<void*>(back.data())), 10'000).bytes, 4096 + more);
}

// Packets and plain bytes against a list of pieces, with memory that runs out now and then.
TEST_F(PipeRingTest, PacketsEndReadsAndTakeAPage) {
  struct Piece {
    std::string text;
    bool packet;
  };
  std::mt19937_64 random(7);
  PipeRing ring;
  std::vector<Piece> model;
  u64 packets_seen = 0;
  for (int step = 0; step < 20'000; ++step) {
    const bool packet = random() % 2 == 0;
    const u64 bytes = random() % (random() % 8 == 0 ? kPageBytes : 200) + 1;
    if (random() % 2 == 0 && ring.room() >= kPageBytes) {
      std::string text(bytes, 0);
      for (char& c : text) {
        c = static_cast<char>(random());
      }
      const IoBuffer from = IoBuffer::kernel(static_cast<const void*>(text.data()));
      mm.forbid_kmem(random() % 16 == 0);
      const IoBuffer::Copied copied = packet ? ring.put_packet(from, bytes) : ring.put(from, bytes);
      mm.forbid_kmem(false);
      ASSERT_TRUE(!packet || copied.bytes == 0 || copied.bytes == bytes);
      if (copied.bytes != 0) {
        model.push_back({text.substr(0, copied.bytes), packet});
        packets_seen += packet ? 1 : 0;
      }
    } else if (!model.empty()) {
      std::string expected;
      u64 dropped = 0;
      while (!model.empty() && expected.size() < bytes) {
        Piece& piece = model.front();
        const u64 part = std::min(bytes - expected.size(), piece.text.size());
        expected += piece.text.substr(0, part);
        const bool was_packet = piece.packet;
        const u64 gone = was_packet ? piece.text.size() : part;
        dropped += gone;
        piece.text.erase(0, gone);
        if (piece.text.empty()) {
          model.erase(model.begin());
        }
        if (was_packet) {
          break;
        }
      }
      const PipePackets::Portion portion = ring.packets().any()
                                               ? ring.packets().portion(bytes)
                                               : PipePackets::Portion{expected.size(), expected.size()};
      ASSERT_EQ(std::min(portion.copied, ring.used()), expected.size());
      std::string back(expected.size(), 0);
      ASSERT_EQ(ring.copy_out(IoBuffer::kernel(static_cast<void*>(back.data())), back.size()).bytes,
                back.size());
      ASSERT_EQ(back, expected);
      ring.drop(dropped);
    }
    u64 used = 0, wasted = 0;
    for (const Piece& piece : model) {
      used += piece.text.size();
      wasted += piece.packet ? kPageBytes - piece.text.size() : 0;
    }
    ASSERT_EQ(ring.used(), used);
    ASSERT_EQ(ring.occupied(), used + wasted);
    ASSERT_EQ(ring.capacity(), PipeRing::kUsualCapacityBytes);
  }
  EXPECT_GT(packets_seen, 1000u);
}

}  // namespace
}  // namespace nopte::guest::files
