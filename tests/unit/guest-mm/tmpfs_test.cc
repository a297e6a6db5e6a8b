#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

#include <absl/container/btree_set.h>

#include <cstring>
#include <random>

#include "guest-mm/kernel/files/tmpfs/window_plan.h"
#include "tests/unit/guest-mm/files_fixture.h"

namespace nopte::guest::files {
namespace {

class TmpfsTest : public FilesTest {
 protected:
  i64 write(File& file, std::string_view text, u64 offset) {
    return file.write(IoBuffer::kernel(static_cast<const void*>(text.data())), text.size(), offset, nullptr);
  }
};

TEST_F(TmpfsTest, RandomReadsWritesAndSizesAgreeWithAString) {
  std::mt19937_64 random(7);
  const Ref<Inode> inode = add_file(*root, "f");
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  std::string model;
  for (int step = 0; step < 20'000; ++step) {
    const u64 offset = random() % 60'000;
    const u64 bytes = random() % (step % 3 == 0 ? 20'000 : 300);
    switch (random() % 4) {
      case 0: {
        std::string text(bytes, static_cast<char>('a' + step % 26));
        ASSERT_EQ(write(*file, text, offset), static_cast<i64>(bytes));
        if (bytes != 0) {
          model.resize(std::max<u64>(model.size(), offset + bytes));
          model.replace(offset, bytes, text);
        }
        break;
      }
      case 1:
        if (random() % 8 == 0) {
          ASSERT_EQ(file->truncate(offset), 0);
          model.resize(offset);
        }
        break;
      default: {
        std::string text(bytes, 1);
        const i64 got = read_at(*file, offset, text.data(), bytes);
        const u64 expected = offset >= model.size() ? 0 : std::min<u64>(bytes, model.size() - offset);
        ASSERT_EQ(got, static_cast<i64>(expected));
        ASSERT_EQ(text.substr(0, expected), expected == 0 ? "" : model.substr(offset, expected));
      }
    }
    ASSERT_EQ(inode->size_bytes(), model.size());
  }
  EXPECT_EQ(contents(*inode), model);
}

TEST_F(TmpfsTest, AppendingByteByByteAsksTheBackendSeldom) {
  const Ref<Inode> inode = add_file(*root, "f");
  const Ref<File> file = inode->open(kOpenWriteOnly | kOpenAppend).value();
  const u64 before = mm.calls();
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(write(*file, "x", 0), 1);
  }
  EXPECT_EQ(inode->size_bytes(), 100'000u);
  EXPECT_LE(mm.calls() - before, 8u);  // create, window, and one resize (and move) per doubling
}

TEST_F(TmpfsTest, AReadTakesOneCallColdAndNoneWarm) {
  const std::string text(64 << 10, 'y');
  const Ref<Inode> inode = add_file(*root, "f", text);
  const Ref<File> file = inode->open(kOpenReadOnly).value();
  std::string back(text.size(), 0);
  ASSERT_EQ(read_at(*file, 0, back.data(), back.size()), static_cast<i64>(back.size()));
  const u64 warm = mm.calls();
  ASSERT_EQ(read_at(*file, 0, back.data(), back.size()), static_cast<i64>(back.size()));
  EXPECT_EQ(mm.calls(), warm);
  EXPECT_EQ(back, text);
}

TEST_F(TmpfsTest, AFaultInTheMiddleLosesNothingAndLeavesNothingPastTheEnd) {
  const Ref<Inode> inode = add_file(*root, "f", "abc");
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  alignas(kPageBytes) static char source[3 * kPageBytes];
  std::memset(source, 's', sizeof source);
  const Gva begin(reinterpret_cast<u64>(source));
  arch.bad = {{begin + kPageBytes + 100, begin + 3 * kPageBytes}};
  // The first page arrives; what the copy got beyond it is not part of the file.
  EXPECT_EQ(file->write(IoBuffer::user(begin.value()), 3 * kPageBytes, 0, nullptr),
            static_cast<i64>(kPageBytes));
  EXPECT_EQ(inode->size_bytes(), kPageBytes);
  ASSERT_EQ(file->truncate(3 * kPageBytes), 0);
  EXPECT_EQ(contents(*inode), std::string(kPageBytes, 's') + std::string(2 * kPageBytes, 0));
  arch.bad = {{begin, begin + 3 * kPageBytes}};
  EXPECT_EQ(file->write(IoBuffer::user(begin.value()), 10, 0, nullptr), -kEFAULT);
  EXPECT_EQ(file->read(IoBuffer::user(begin.value()), 10, 0), -kEFAULT);
  EXPECT_EQ(contents(*inode).substr(0, 10), "ssssssssss");
}

TEST_F(TmpfsTest, ASmallFileAsksTheBackendForNothing) {
  const Ref<Inode> first = add_file(*root, "first", "x");  // the heap's first chunk
  const u64 calls = mm.calls();
  const Ref<Inode> inode = add_file(*root, "f", std::string(100, 'y'));
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  ASSERT_EQ(write(*file, "end", 500), 3);
  EXPECT_EQ(contents(*inode), std::string(100, 'y') + std::string(400, 0) + "end");
  ASSERT_EQ(file->truncate(50), 0);
  ASSERT_EQ(file->truncate(3000), 0);
  EXPECT_EQ(contents(*inode), std::string(50, 'y') + std::string(2950, 0));
  EXPECT_EQ(mm.calls(), calls);
  EXPECT_EQ(mm.objects(), 0u);
}

TEST_F(TmpfsTest, ASmallFileGetsAnObjectWhenItIsMappedOrGrows) {
  for (const bool mapped : {false, true}) {
    const Ref<Inode> inode = add_file(*root, mapped ? "m" : "g", "some text");
    const Ref<File> file = inode->open(kOpenReadWrite).value();
    if (mapped) {
      const auto object = Ref<MemoryObject>::adopt(file->mmap_object(kPermR, Sharing::kShared).value());
      EXPECT_EQ(mm.object_pages(object->id()), 1u);
      EXPECT_TRUE(mm.regions(SpaceId::kKernel).empty());  // read, it gets a window
    } else {
      ASSERT_EQ(write(*file, "far", SmallContents::kMostBytes), 3);
    }
    EXPECT_EQ(mm.objects(), 1u);
    EXPECT_EQ(contents(*inode).substr(0, 12), mapped ? "some text" : std::string("some text\0\0\0", 12));
    EXPECT_EQ(root->unlink(mapped ? "m" : "g"), 0);
  }
  EXPECT_EQ(mm.objects(), 0u);
}

TEST_F(TmpfsTest, RemovingNeedsNoMemory) {
  for (const u64 bytes : {u64{100}, u64{3 * kPageBytes + 1}}) {
    Ref<Inode> inode = add_file(*root, "f", std::string(bytes, 'r'));
    Ref<File> file = inode->open(kOpenReadWrite).value();
    mm.forbid_growth(true);
    EXPECT_EQ(file->truncate(0), 0);
    EXPECT_EQ(root->unlink("f"), 0);
    file = nullptr;
    inode = nullptr;
    mm.forbid_growth(false);
    EXPECT_EQ(mm.objects(), 0u);
  }
}

// --- the limit ------------------------------------------------------------------------------------------

class TmpfsLimitTest : public TmpfsTest {
 protected:
  TmpfsLimitTest() { set_tmpfs_limit(tmpfs_use().used_bytes + kRoom); }
  ~TmpfsLimitTest() override {
    set_tmpfs_limit(~u64{0});
    root = nullptr;
    view = nullptr;
    EXPECT_EQ(tmpfs_use().used_bytes, 0u);
  }
  static constexpr u64 kRoom = 40 * kPageBytes;
};

TEST_F(TmpfsLimitTest, AFullFileSystemTakesWhatFitsAndThenNothing) {
  const Ref<Inode> inode = add_file(*root, "f");
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  const std::string text(100 * kPageBytes, 'w');
  const i64 written = write(*file, text, 0);
  EXPECT_EQ(written, static_cast<i64>(39 * kPageBytes));  // the name takes a part of a page
  EXPECT_EQ(write(*file, text, static_cast<u64>(written)), -kENOSPC);
  EXPECT_EQ(write(*file, text.substr(0, 2 * kPageBytes), 5), static_cast<i64>(2 * kPageBytes));  // is there
  EXPECT_EQ(inode->used_pages(), 39u);
  ASSERT_EQ(file->truncate(20 * kPageBytes), 0);
  EXPECT_EQ(tmpfs_use().free_bytes() >> kPageShift, 19u);
  EXPECT_EQ(write(*file, text, 30 * kPageBytes), static_cast<i64>(19 * kPageBytes));
  EXPECT_EQ(root->unlink("f"), 0);
}

TEST_F(TmpfsLimitTest, NamesAndSmallFilesCount) {
  u64 files = 0;
  for (;; ++files) {
    ASSERT_LT(files, 1000u);
    const Ref<Inode> inode = root->create(kModeRegular | 0644, 0, {}).value();
    if (const i64 linked = root->link(std::to_string(files), inode); linked != 0) {
      EXPECT_EQ(linked, -kENOSPC);
      break;
    }
    const Ref<File> file = inode->open(kOpenReadWrite).value();
    if (const i64 written = write(*file, "0123456789", 0); written != 10) {
      EXPECT_EQ(written, -kENOSPC);
    }
  }
  EXPECT_GE(files, 100u);
  EXPECT_EQ(root->rename("1", *root, "one"), 0);  // moves its charge
  for (u64 file = 0; file < files; ++file) {
    EXPECT_EQ(root->unlink(file == 1 ? "one" : std::to_string(file)), 0);
  }
}

TEST_F(TmpfsLimitTest, HolesAreFree) {
  const Ref<Inode> inode = add_file(*root, "f");
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  ASSERT_EQ(file->truncate(u64{1} << 30), 0);
  for (u64 page = 0; page < 30; ++page) {
    ASSERT_EQ(write(*file, "sparse", page << 24), 6);
  }
  EXPECT_EQ(inode->used_pages(), 30u);
  EXPECT_EQ(root->unlink("f"), 0);
}

TEST_F(TmpfsTest, ReadingAHoleAtTheEndTakesNoMemory) {
  const Ref<Inode> inode = add_file(*root, "f", "data");
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  ASSERT_EQ(file->truncate(u64{1} << 30), 0);
  const u64 calls = mm.calls();
  std::string text(100'000, 1);
  ASSERT_EQ(read_at(*file, 0, text.data(), text.size()), 100'000);
  EXPECT_EQ(text, "data" + std::string(99'996, 0));
  ASSERT_EQ(read_at(*file, (u64{1} << 30) - 10, text.data(), text.size()), 10);
  EXPECT_EQ(mm.calls(), calls);
}

TEST_F(TmpfsTest, ABufferThatIsNotThereInstallsLittle) {
  const Ref<Inode> inode = add_file(*root, "f");
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  alignas(kPageBytes) static char source[kPageBytes];
  const Gva begin(reinterpret_cast<u64>(source));
  arch.bad = {{begin, begin + (u64{1} << 32)}};
  EXPECT_EQ(file->write(IoBuffer::user(begin.value()), u64{1} << 31, 0, nullptr), -kEFAULT);
  for (const auto& advised : mm.advised()) {
    EXPECT_LE(advised.range.pages(), 1024u);
  }
  EXPECT_EQ(inode->size_bytes(), 0u);
}

TEST_F(TmpfsTest, EveryFailureOfMemoryIsAnAnswer) {
  for (u64 nth = 1;; ++nth) {
    ASSERT_LT(nth, 100u);
    ErrnoOr<Ref<Inode>> inode = tmpfs_create(kModeRegular | 0644, 0, {});
    ASSERT_TRUE(inode);
    const Ref<File> file = (*inode)->open(kOpenReadWrite).value();
    mm.fail_at(nth);
    const std::string text(200'000, 'z');
    const i64 first = write(*file, text.substr(0, 10), 0);
    const i64 second = write(*file, text, 0);
    const i64 third = file->truncate(500'000);
    const bool done = !mm.failed();
    mm.fail_at(0);
    for (const i64 result : {first, second, third}) {
      ASSERT_TRUE(result >= 0 || result == -kENOSPC) << nth << ": " << result;
    }
    // It works again.
    ASSERT_EQ(write(*file, text, 0), 200'000);
    ASSERT_EQ(contents(**inode).substr(0, 200'000), text);
    if (done) {
      break;
    }
  }
}

TEST_F(TmpfsTest, AMappedFileEndsWhereItEnds) {
  const Ref<Inode> inode = add_file(*root, "f", std::string(5000, 'm'));
  const Ref<File> file = inode->open(kOpenReadWrite).value();
  const auto object = Ref<MemoryObject>::adopt(file->mmap_object(kPermR, Sharing::kShared).value());
  EXPECT_EQ(mm.object_pages(object->id()), 2u);
  EXPECT_EQ(object->name(), "/f");
  ASSERT_EQ(write(*file, "more", 3 * kPageBytes), 4);
  EXPECT_EQ(mm.object_pages(object->id()), 4u);
  const Ref<File> reader = inode->open(kOpenReadOnly).value();
  EXPECT_EQ(reader->mmap_object(kPermRW, Sharing::kShared).error(), kEACCES);
}

TEST_F(TmpfsTest, ObjectsEndWithTheLastUser) {
  Ref<Inode> inode = add_file(*root, "f", "data" + std::string(kPageBytes, 0));
  Ref<File> file = inode->open(kOpenReadOnly).value();
  inode = nullptr;
  EXPECT_EQ(mm.objects(), 1u);
  EXPECT_EQ(root->unlink("f"), 0);
  char text[4];
  EXPECT_EQ(read_at(*file, 0, text, 4), 4);
  file = nullptr;
  EXPECT_EQ(mm.objects(), 0u);
  EXPECT_TRUE(mm.regions(SpaceId::kKernel).empty());
}

TEST_F(TmpfsTest, ADirectoryKeepsItsOrderWhileItChanges) {
  for (int i = 0; i < 100; ++i) {
    add_file(*root, "f" + std::to_string(i));
  }
  absl::btree_set<std::string> seen;
  u64 cookie = 2;
  bool more = true;
  while (more) {
    more = false;
    u64 last = cookie;
    std::string name;
    root->iterate(cookie, [&](std::string_view entry, u64, u32, u64 next) {
      if (more) {
        return false;
      }
      more = true;
      name = entry;
      last = next;
      return true;
    });
    cookie = last;
    if (more) {
      EXPECT_TRUE(seen.insert(name).second);
      EXPECT_EQ(root->unlink(name), 0);
    }
  }
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_TRUE(root->empty());
  EXPECT_EQ(root->links, 2u);
}

TEST(ShownPages, InstallsWhatIsMissingAndIsWorthACall) {
  ShownPages shown;
  EXPECT_EQ(shown.to_install({5, 1}), PageRun());
  EXPECT_EQ(shown.to_install({0, 8}), (PageRun{0, 8}));
  shown.note({0, 8});
  EXPECT_EQ(shown.to_install({0, 8}), PageRun());
  EXPECT_EQ(shown.to_install({2, 6}), PageRun());
  EXPECT_EQ(shown.to_install({4, 8}), (PageRun{8, 4}));
  EXPECT_EQ(shown.to_install({7, 2}), PageRun());  // one page is missing
  shown.note({8, 4});
  EXPECT_EQ(shown.to_install({0, 12}), PageRun());
  shown.cut(10);
  EXPECT_EQ(shown.to_install({0, 12}), (PageRun{10, 2}));
  shown.note({100, 4});  // apart and shorter: forgotten
  EXPECT_EQ(shown.to_install({100, 4}), (PageRun{100, 4}));
  EXPECT_EQ(shown.to_install({0, 10}), PageRun());
  shown.note({50, 20});
  EXPECT_EQ(shown.to_install({48, 4}), (PageRun{48, 2}));
  EXPECT_EQ(shown.to_install({40, 40}), (PageRun{40, 40}));  // on both sides: one call for all
  shown.reset();
  EXPECT_EQ(shown.to_install({50, 20}), (PageRun{50, 20}));
}

}  // namespace
}  // namespace nopte::guest::files
