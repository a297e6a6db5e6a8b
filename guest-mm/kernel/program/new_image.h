// The new program of an exec, before the old one goes.
#pragma once

#include <string_view>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/program/initial_stack.h"
#include "guest-mm/kernel/program/program.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

// A program that is ready to run: what remains of exec once nothing of it can fail any more.
struct NewImage {
  Ref<AddressSpace> space;
  Ref<files::Inode> executable;
  char comm[sizeof(Thread::comm)] = {};
  Gva entry;
  Gva stack;
  Gva identity_at;  // InitialStack::identity_at
  ExecIdentity identity;
  ExecOwner owner{};      // that identity_after_exec() was told
  bool readable = true;   // to who runs it
  bool owes = false;      // settle_words() has something to do
  bool too_late = false;  // it cannot run, and by Linux's order of things the old program is gone
};

constexpr i64 errno_of_arguments(Status status) {
  return status == Status::kLimit ? -kE2BIG : to_errno(status);
}

// What the program is told of it.
IdentityFacts told_of(const ExecIdentity& identity);

// Builds the space of the program that was found, its stack included; `path` is what it is called. On success
// the new space is active. 0, or a negative errno with the old space active and everything as before, but for
// `too_late`.
i64 make_image(Program& program, std::string_view path, ProgramArguments& arguments, NewImage& image);

}  // namespace nopte::guest
