// A file system in memory for hosted tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/names/path_walk.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_directory.h"
#include "tests/support/fake_arch.h"
#include "tests/support/fake_platform.h"

namespace nopte::guest::files {

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    root = make_counted<TmpfsDirectory>(0755u);
    root->parent = root.get();
    view = make_counted<ProcessFiles>();
    view->root = root;
    view->cwd = root;
  }
  ~FilesTest() override {
    view = nullptr;
    root = nullptr;
  }

  Ref<Inode> add(Directory& where, std::string_view name, u32 mode, std::string_view target = {}) {
    Ref<Inode> inode = where.create(mode, 0, target).value();
    EXPECT_EQ(where.link(name, inode), 0);
    return inode;
  }
  Directory& add_directory(Directory& where, std::string_view name) {
    return *add(where, name, kModeDirectory | 0755)->as_directory();
  }
  Ref<Inode> add_link(Directory& where, std::string_view name, std::string_view target) {
    return add(where, name, kModeSymlink, target);
  }
  Ref<Inode> add_file(Directory& where, std::string_view name, std::string_view text = {}) {
    Ref<Inode> inode = add(where, name, kModeRegular | 0644);
    const Ref<File> file = inode->open(kOpenReadWrite).value();
    EXPECT_EQ(file->write(IoBuffer::kernel(static_cast<const void*>(text.data())), text.size(), 0, nullptr),
              static_cast<i64>(text.size()));
    return inode;
  }
  static std::string contents(Inode& inode) {
    const Ref<File> file = inode.open(kOpenReadOnly).value();
    std::string text(inode.size_bytes(), 0);
    EXPECT_EQ(read_at(*file, 0, text.data(), text.size() + 1), static_cast<i64>(text.size()));
    return text;
  }
  std::string path_to(const Inode& inode) {
    char text[kPathBytes];
    const i64 bytes = path_of(inode, text, sizeof text, root.get());
    return bytes < 0 ? std::to_string(bytes) : std::string(text, static_cast<u64>(bytes));
  }

  test::FakePlatform platform;
  test::FakeMmOps mm;
  test::FakeArch arch{mm};
  Ref<TmpfsDirectory> root;
  Ref<ProcessFiles> view;
};

}  // namespace nopte::guest::files
