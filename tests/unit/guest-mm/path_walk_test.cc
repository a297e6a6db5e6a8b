#include "guest-mm/kernel/files/names/path_walk.h"

#include "tests/unit/guest-mm/files_fixture.h"

namespace nopte::guest::files {
namespace {

class PathWalkTest : public FilesTest {
 protected:
  // The inode's path, or the errno.
  std::string walked(std::string_view path, FinalLink final = FinalLink::kFollow, Inode* start = nullptr) {
    const ErrnoOr<Ref<Inode>> inode = lookup(*view, path, final, start);
    return inode ? path_to(**inode) : "errno " + std::to_string(inode.error());
  }
};

TEST_F(PathWalkTest, ComponentsDotsAndSlashes) {
  Directory& a = add_directory(*root, "a");
  Directory& b = add_directory(a, "b");
  add_file(b, "file");
  EXPECT_EQ(walked("/"), "/");
  EXPECT_EQ(walked("////"), "/");
  EXPECT_EQ(walked("/.."), "/");
  EXPECT_EQ(walked("/a/b/file"), "/a/b/file");
  EXPECT_EQ(walked("a//b/./../b/file"), "/a/b/file");
  EXPECT_EQ(walked("../../a/"), "/a");
  EXPECT_EQ(walked("b/..", FinalLink::kFollow, &a), "/a");
  EXPECT_EQ(walked("a/b/file/"), "errno 20");
  EXPECT_EQ(walked("a/b/file/."), "errno 20");
  EXPECT_EQ(walked("a/none"), "errno 2");
  EXPECT_EQ(walked("none/a"), "errno 2");
  EXPECT_EQ(walked(""), "errno 2");
  EXPECT_EQ(walked(std::string(256, 'x')), "errno 36");
  EXPECT_EQ(walked(std::string(255, 'x')), "errno 2");
}

TEST_F(PathWalkTest, LinksInTheMiddleAndAtTheEnd) {
  Directory& a = add_directory(*root, "a");
  Directory& b = add_directory(a, "b");
  add_file(b, "file");
  add_link(*root, "to_b", "a/b");
  add_link(a, "absolute", "/to_b/file");
  add_link(b, "up", "../absolute");
  add_link(*root, "dangling", "a/new");
  EXPECT_EQ(walked("to_b/file"), "/a/b/file");
  EXPECT_EQ(walked("to_b/.."), "/a");
  EXPECT_EQ(walked("to_b", FinalLink::kStay), "/to_b");
  EXPECT_EQ(walked("to_b/", FinalLink::kStay), "/a/b");
  EXPECT_EQ(walked("a/absolute"), "/a/b/file");
  EXPECT_EQ(walked("to_b/up"), "/a/b/file");
  EXPECT_EQ(walked("to_b/up/"), "errno 20");
  EXPECT_EQ(walked("dangling"), "errno 2");
}

TEST_F(PathWalkTest, TheTargetOfADanglingLinkIsWhereItWouldBeMade) {
  Directory& a = add_directory(*root, "a");
  add_link(*root, "dangling", "a/new");
  PathTarget target;
  EXPECT_EQ(walk_path(*view, "dangling", FinalLink::kFollow, nullptr, target), 0);
  EXPECT_FALSE(target.inode);
  EXPECT_EQ(target.directory.get(), &a);
  EXPECT_EQ(target.name(), "new");
  EXPECT_EQ(walk_path(*view, "a/other/", FinalLink::kStay, nullptr, target), 0);
  EXPECT_EQ(target.name(), "other");
  EXPECT_TRUE(target.trailing_slash);
}

TEST_F(PathWalkTest, FortyLinksAndNoMore) {
  add_file(*root, "l0");
  for (int i = 1; i <= 41; ++i) {
    add_link(*root, "l" + std::to_string(i), "l" + std::to_string(i - 1));
  }
  EXPECT_EQ(walked("l40"), "/l0");
  EXPECT_EQ(walked("l41"), "errno 40");
  // Nested, so that each interrupts a path with a rest.
  Directory& d = add_directory(*root, "d");
  add_file(d, "x");
  add_link(*root, "n0", "d/.");
  for (int i = 1; i <= 40; ++i) {
    add_link(*root, "n" + std::to_string(i), "n" + std::to_string(i - 1) + "/.");
  }
  EXPECT_EQ(walked("n39/x"), "/d/x");
  EXPECT_EQ(walked("n40/x"), "errno 40");
  add_link(*root, "self", "self");
  EXPECT_EQ(walked("self"), "errno 40");
  EXPECT_EQ(walked("self", FinalLink::kStay), "/self");
}

TEST_F(PathWalkTest, RootOfTheProcess) {
  Directory& jail = add_directory(*root, "jail");
  add_file(jail, "inside");
  add_link(jail, "escape", "/../inside");
  view->root = Ref<Inode>(&jail);
  view->cwd = view->root;
  EXPECT_EQ(walked("/../../inside"), "/jail/inside");
  EXPECT_EQ(walked("escape"), "/jail/inside");
}

TEST_F(PathWalkTest, RemovedWorkingDirectory) {
  Directory& gone = add_directory(*root, "gone");
  view->cwd = Ref<Inode>(&gone);
  EXPECT_EQ(root->unlink("gone"), 0);
  EXPECT_EQ(walked(".."), "errno 2");
  char text[16];
  EXPECT_EQ(path_of(*view->cwd, text, sizeof text), -kENOENT);
}

}  // namespace
}  // namespace nopte::guest::files
