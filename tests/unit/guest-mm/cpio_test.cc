#include "guest-mm/kernel/files/archive/cpio.h"

#include <cstring>

#include "guest-mm/core/kernel_windows.h"
#include "guest-mm/kernel/files/archive/cpio_unpack.h"
#include "tests/unit/guest-mm/files_fixture.h"

namespace nopte::guest::files {
namespace {

struct Written {
  std::string name;
  u32 mode = kModeRegular | 0644;
  std::string data{};
  u32 inode = 1;
  u32 links = 1;
  u64 name_zeros = 0;  // behind the one that ends it
};

std::string entry(const Written& written) {
  char header[CpioReader::kHeaderBytes + 1];
  snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", written.inode,
           written.mode, 3u, 4u, written.links, 1000u, static_cast<u32>(written.data.size()), 0u, 1u, 5u, 6u,
           static_cast<u32>(written.name.size() + 1 + written.name_zeros), 0u);
  std::string bytes = header + written.name + std::string(1 + written.name_zeros, '\0');
  bytes.resize((bytes.size() + 3) / 4 * 4);
  bytes += written.data;
  bytes.resize((bytes.size() + 3) / 4 * 4);
  return bytes;
}

std::string archive(std::initializer_list<Written> entries) {
  std::string bytes;
  for (const Written& written : entries) {
    bytes += entry(written);
  }
  return bytes + entry({.name = "TRAILER!!!", .mode = 0});
}

// All names in order; or "error: ...".
std::string names_in(const std::string& bytes) {
  auto read = [&](u64 offset, void* to, u64 count) {
    EXPECT_LE(offset + count, bytes.size());
    std::memcpy(to, bytes.data() + offset, count);
    return true;
  };
  CpioReader reader(bytes.size(), read);
  std::string names;
  for (;;) {
    const auto next = reader.next();
    if (!next) {
      return std::string("error: ") + next.error();
    }
    if (!*next) {
      return names;
    }
    EXPECT_LE((*next)->data_offset + (*next)->data_bytes, bytes.size());
    names += std::string((*next)->name) + ";";
  }
}

TEST(Cpio, ReadsEntries) {
  EXPECT_EQ(names_in(archive({})), "");
  EXPECT_EQ(
      names_in(archive({{.name = "a", .data = "odd"}, {.name = "./b/c"}, {.name = "/d"}, {.name = "."}})),
      "a;b/c;d;;");
}

TEST(Cpio, NamesWhatIsWrong) {
  EXPECT_EQ(names_in(""), "error: shorter than one cpio header");
  EXPECT_EQ(names_in(std::string(512, 0)), "error: no cpio newc header");
  EXPECT_EQ(names_in("\x1f\x8b" + std::string(512, 0)), "error: compressed (gzip): unpack it first");
  EXPECT_EQ(names_in("070707" + std::string(512, '0')),
            "error: an old cpio format, not newc (use cpio -H newc)");
  EXPECT_EQ(names_in(entry({.name = "a"})), "error: truncated: no TRAILER!!! entry");
  std::string bytes = archive({{.name = "a", .data = "data"}});
  bytes[20] = 'g';
  EXPECT_EQ(names_in(bytes), "error: a header field is not a hexadecimal number");
}

TEST(Cpio, EveryTruncationAndEveryBadFieldIsAnError) {
  const std::string whole = archive({{.name = "name", .data = "some data"}, {.name = "other"}});
  for (u64 bytes = 0; bytes < whole.size() - 1; ++bytes) {
    const std::string result = names_in(whole.substr(0, bytes));
    // The padding after the trailer may be missing.
    EXPECT_TRUE(result.starts_with("error: ") || bytes >= whole.size() - 3) << bytes << result;
  }
  for (u64 field = 0; field < 13; ++field) {
    for (const char* value :
         {"00000000", "00000001", "7FFFFFFF", "FFFFFFFF", "80000000", "00001000", "fffffff0"}) {
      for (u64 at : {u64{0}, whole.size() - 124}) {
        std::string bytes = whole;
        bytes.replace(at + 6 + field * 8, 8, value);
        names_in(bytes);  // an answer, whatever it is, and no read outside
      }
    }
  }
  std::string unterminated = whole;
  unterminated[CpioReader::kHeaderBytes + 4] = 'x';
  EXPECT_EQ(names_in(unterminated), "error: a name without its terminator");
  EXPECT_EQ(names_in(archive({{.name = "padded", .data = "x", .name_zeros = 9}, {.name = "next"}})),
            "padded;next;");
  std::string inside = whole;
  inside[CpioReader::kHeaderBytes + 2] = 0;
  EXPECT_EQ(names_in(inside), "error: a name with a terminator inside");
}

class CpioUnpackTest : public FilesTest {
 protected:
  // The archive as the boot hands it over: an object.
  ObjectId object_with(const std::string& bytes) {
    const Ref<MemoryObject> object = MemoryObject::create(bytes.size()).value();
    KernelWindow window;
    EXPECT_TRUE(window.open(*object));
    EXPECT_TRUE(arch::copy_fallible(window.at(0), bytes.data(), bytes.size()));
    window.close();
    // Let go of without destroying it.
    const ObjectId id = object->id();
    object->retain();
    return id;
  }
  void unpack(const std::string& bytes) { unpack_initramfs(object_with(bytes), bytes.size(), *root); }
  Ref<Inode> at(std::string_view path) {
    ErrnoOr<Ref<Inode>> inode = lookup(*view, path, FinalLink::kStay);
    EXPECT_TRUE(inode) << path;
    return inode ? *inode : nullptr;
  }
  void refuses(const std::string& bytes, std::string_view message) {
    platform.console.clear();
    try {
      unpack(bytes);
      ADD_FAILURE() << "accepted: " << message;
    } catch (const test::PowerOff& end) {
      EXPECT_EQ(end.status, 1);
      EXPECT_NE(platform.console.find(message), std::string::npos) << platform.console;
    }
  }
};

TEST_F(CpioUnpackTest, MakesTheTree) {
  const std::string big(300'000, 'b');
  unpack(archive({{.name = ".", .mode = kModeDirectory | 0711},
                  {.name = "dir", .mode = kModeDirectory | 0750},
                  {.name = "dir/big", .mode = kModeRegular | 0755, .data = big},
                  {.name = "missing/parents/file", .data = "x"},
                  {.name = "link", .mode = kModeSymlink | 0777, .data = "dir/big"},
                  {.name = "one", .data = "", .inode = 9, .links = 2},
                  {.name = "two", .data = "shared", .inode = 9, .links = 2},
                  {.name = "null", .mode = kModeCharacter | 0666}}));
  EXPECT_EQ(root->mode & kModePermMask, 0711u);
  EXPECT_EQ(contents(*at("dir/big")), big);
  EXPECT_EQ(at("dir/big")->mode, kModeRegular | 0755);
  EXPECT_EQ(at("dir/big")->uid, 3u);
  EXPECT_EQ(at("dir/big")->gid, 4u);
  EXPECT_EQ(at("dir/big")->modified_ns, 1'000'000'000'000u);
  EXPECT_EQ(at("dir")->mode, kModeDirectory | 0750);
  EXPECT_EQ(contents(*at("missing/parents/file")), "x");
  EXPECT_EQ(at("link")->link_text(), "dir/big");
  EXPECT_EQ(at("one"), at("two"));
  EXPECT_EQ(at("one")->links, 2u);
  EXPECT_EQ(contents(*at("one")), "shared");
  EXPECT_EQ(at("null")->device, device_number(5, 6));
}

// A file whose contents begin at a page of the archive, as experiments/lib/cpio.py places them.
class ShownFileTest : public CpioUnpackTest {
 protected:
  ShownFileTest() {
    for (u64 byte = 0; byte < 3 * kPageBytes + 100; ++byte) text += static_cast<char>('a' + byte % 23);
    const u64 head = CpioReader::kHeaderBytes + 5;  // "file" and what ends it
    unpack(archive({{.name = "file", .data = text, .name_zeros = kPageBytes - head},
                    {.name = "next", .data = std::string(500, 'n')}}));
  }
  Ref<MemoryObject> mapped(Sharing sharing) {
    const Ref<File> file = at("file")->open(kOpenReadWrite).value();
    const auto object = file->mmap_object(kPermR, sharing);
    return object ? Ref<MemoryObject>::adopt(*object) : nullptr;
  }
  i64 write(std::string_view bytes, u64 offset) {
    const Ref<File> file = at("file")->open(kOpenReadWrite).value();
    return file->write(IoBuffer::kernel(static_cast<const void*>(bytes.data())), bytes.size(), offset,
                       nullptr);
  }
  std::string text;
};

TEST_F(ShownFileTest, IsAViewWithZerosBehindIt) {
  EXPECT_EQ(contents(*at("file")), text);
  EXPECT_EQ(contents(*at("next")), std::string(500, 'n'));
  const Ref<MemoryObject> object = mapped(Sharing::kPrivate);
  ASSERT_TRUE(object && object->is_view());
  EXPECT_EQ(object->bytes(), text.size());
  EXPECT_EQ(object->name(), "/file");
  EXPECT_EQ(object->page_in_whole(0), 1u);
  EXPECT_EQ(object->page_in_whole(3), 4u);
  for (const u64 page : {0, 3, 4, 5, 1000}) EXPECT_EQ(object->page_of_own(object->page_in_whole(page)), page);
  // Past its end lies nothing that the archive has.
  EXPECT_GE(object->page_in_whole(4), bytes_to_pages(text.size() + 2 * kPageBytes));
  const Ref<MemoryObject> whole = MemoryObject::adopt(object->id(), 5 * kPageBytes).value();
  KernelWindow window;
  ASSERT_TRUE(window.open(*whole));
  std::string tail(kPageBytes - 100, 'x');
  ASSERT_TRUE(arch::copy_fallible(tail.data(), window.at(4 * kPageBytes + 100), tail.size()));
  EXPECT_EQ(tail, std::string(kPageBytes - 100, '\0'));
  window.close();
  whole->retain();  // it is the archive's, and not this one's to destroy
}

TEST_F(ShownFileTest, IsCopiedWhenItChanges) {
  const Ref<MemoryObject> before = mapped(Sharing::kPrivate);
  EXPECT_EQ(write("new", 5000), 3);
  text.replace(5000, 3, "new");
  EXPECT_EQ(contents(*at("file")), text);
  EXPECT_EQ(write("end", text.size() + 10), 3);
  text += std::string(10, '\0') + "end";
  EXPECT_EQ(contents(*at("file")), text);
  EXPECT_FALSE(mapped(Sharing::kPrivate)->is_view());
  EXPECT_TRUE(before->is_view());
}

TEST_F(ShownFileTest, IsCopiedToBeShared) {
  EXPECT_FALSE(mapped(Sharing::kShared)->is_view());
  EXPECT_EQ(contents(*at("file")), text);
}

TEST_F(ShownFileTest, IsCut) {
  for (const u64 bytes : {2 * kPageBytes + 1, kPageBytes, u64{10}}) {
    EXPECT_EQ(at("file")->truncate(bytes), 0);
    EXPECT_EQ(contents(*at("file")), text.substr(0, bytes));
  }
  EXPECT_EQ(at("file")->truncate(5000), 0);
  EXPECT_EQ(contents(*at("file")), text.substr(0, 10) + std::string(4990, '\0'));
}

TEST_F(ShownFileTest, IsEmptiedWithoutMemory) {
  mm.forbid_growth(true);
  EXPECT_EQ(at("file")->truncate(0), 0);
  mm.forbid_growth(false);
  EXPECT_EQ(contents(*at("file")), "");
  EXPECT_EQ(write("again", 0), 5);
  EXPECT_EQ(contents(*at("file")), "again");
}

TEST_F(ShownFileTest, IsAsBeforeWithoutMemory) {
  u64 nth = 0;
  for (bool done = false; !done;) {
    ASSERT_LT(++nth, 100u);
    mm.fail_at(nth);
    done = write("new", 5000) == 3;
    const bool failed = mm.failed();
    mm.fail_at(0);
    EXPECT_TRUE(done || failed);
    if (done) text.replace(5000, 3, "new");
    EXPECT_EQ(contents(*at("file")), text) << nth;
  }
  EXPECT_GT(nth, 1u);
}

TEST_F(CpioUnpackTest, RefusesWithAMessage) {
  refuses("not an archive" + std::string(200, ' '), "no cpio newc header, at byte 0");
  refuses(entry({.name = "a"}), "no TRAILER!!!");
  refuses(archive({{.name = "../outside"}}), "leads nowhere");
  refuses(archive({{.name = "a"}, {.name = "a/b"}}), "leads nowhere");
  refuses(archive({{.name = "d", .mode = kModeDirectory}, {.name = "d"}}), "in the place of a directory");
  refuses(archive({{.name = "s", .mode = kModeSymlink}}), "symbolic link of impossible length");
  refuses(archive({{.name = "t", .mode = 0}}), "unknown type");
}

}  // namespace
}  // namespace nopte::guest::files
