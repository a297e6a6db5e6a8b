#include "guest-mm/kernel/files/file_table.h"

#include "tests/unit/guest-mm/files_fixture.h"

namespace nopte::guest::files {
namespace {

class FileTableTest : public FilesTest {
 protected:
  Ref<File> file() { return root->open(kOpenReadOnly).value(); }
};

TEST_F(FileTableTest, GivesTheLowestFreeNumber) {
  FileTable table;
  for (i64 i = 0; i < 100; ++i) {
    EXPECT_EQ(table.insert(file(), CloseOnExec::kNo), i);
  }
  EXPECT_EQ(table.close(70), 0);
  EXPECT_EQ(table.close(3), 0);
  EXPECT_EQ(table.close(3), -kEBADF);
  EXPECT_EQ(table.get(3), nullptr);
  EXPECT_EQ(table.insert(file(), CloseOnExec::kNo, 10), 70);
  EXPECT_EQ(table.insert(file(), CloseOnExec::kNo), 3);
  EXPECT_EQ(table.insert(file(), CloseOnExec::kNo), 100);
  EXPECT_EQ(table.insert(file(), CloseOnExec::kNo, 500), 500);
  EXPECT_EQ(table.bound(), 501u);
  EXPECT_EQ(table.insert(file(), CloseOnExec::kNo, table.limit()), -kEINVAL);
}

TEST_F(FileTableTest, EndsAtTheLimit) {
  const Ref<File> one = file();
  for (const u32 limit : {16u, 64u, 65u, 1024u, 5000u}) {
    FileTable table;
    table.set_limit(limit);
    for (u32 i = 0; i < limit; ++i) {
      ASSERT_EQ(table.insert(one, i % 3 == 0 ? CloseOnExec::kYes : CloseOnExec::kNo), static_cast<i64>(i));
    }
    EXPECT_EQ(table.insert(one, CloseOnExec::kNo), -kEMFILE);
    EXPECT_EQ(table.replace(limit, one, CloseOnExec::kNo), -kEBADF);
    EXPECT_EQ(table.get(limit), nullptr);
    EXPECT_EQ(table.get(~u64{0}), nullptr);
    FileTable copy;
    ASSERT_TRUE(copy.copy_from(table));
    EXPECT_EQ(copy.limit(), limit);
    copy.close_on_exec();
    for (u32 i = 0; i < limit; ++i) ASSERT_EQ(copy.get(i) == nullptr, i % 3 == 0) << i;
  }
}

TEST_F(FileTableTest, WhatIsOpenAboveALowerLimitStays) {
  FileTable table;
  const Ref<File> one = file();
  ASSERT_EQ(table.replace(700, one, CloseOnExec::kNo), 700);
  table.set_limit(3);
  EXPECT_EQ(table.get(700), one.get());
  for (i64 i = 0; i < 3; ++i) EXPECT_EQ(table.insert(one, CloseOnExec::kNo), i);
  EXPECT_EQ(table.insert(one, CloseOnExec::kNo), -kEMFILE);
  EXPECT_EQ(table.insert(one, CloseOnExec::kNo, 3), -kEINVAL);
  EXPECT_EQ(table.close(700), 0);
  table.set_limit(0);
  EXPECT_EQ(table.insert(one, CloseOnExec::kNo), -kEMFILE);
}

TEST_F(FileTableTest, CopiesAndClosesOnExec) {
  FileTable table;
  const Ref<File> one = file();
  EXPECT_EQ(table.insert(one, CloseOnExec::kYes), 0);
  EXPECT_EQ(table.replace(200, one, CloseOnExec::kNo), 200);
  EXPECT_EQ(table.replace(201, one, CloseOnExec::kYes), 201);
  {
    FileTable copy;
    ASSERT_TRUE(copy.copy_from(table));
    EXPECT_EQ(copy.get(200), one.get());
    copy.close_on_exec();
    EXPECT_EQ(copy.get(0), nullptr);
    EXPECT_EQ(copy.get(200), one.get());
    EXPECT_EQ(copy.bound(), 201u);
  }
  EXPECT_EQ(table.get(0), one.get());
  EXPECT_TRUE(table.close_on_exec(201));
  table.set_close_on_exec(201, CloseOnExec::kNo);
  EXPECT_FALSE(table.close_on_exec(201));
  EXPECT_TRUE(one->shared());
  table.close_all();
  EXPECT_FALSE(one->shared());
}

}  // namespace
}  // namespace nopte::guest::files
