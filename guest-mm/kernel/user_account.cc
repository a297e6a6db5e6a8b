#include "guest-mm/kernel/user_account.h"

#include <boost/intrusive/set.hpp>

namespace nopte::guest {

namespace {

struct ByUser {
  using type = u32;
  u32 operator()(const UserAccount& account) const { return account.user; }
};
using Accounts = boost::intrusive::set<UserAccount, boost::intrusive::key_of_value<ByUser>>;

// Made at its first use: the kernel has no constructors that run before it. Never ends.
Accounts& accounts() {
  alignas(Accounts) static u8 place[sizeof(Accounts)];
  static Accounts* made = nullptr;
  if (made == nullptr) [[unlikely]] {
    made = new (place) Accounts;
  }
  return *made;
}

}  // namespace

Ref<UserAccount> UserAccount::of(u32 user) {
  const auto found = accounts().find(user);
  if (found != accounts().end()) {
    return Ref<UserAccount>(&*found);
  }
  auto* const account = make<UserAccount>(user);
  if (account != nullptr) {
    accounts().insert(*account);
  }
  return Ref<UserAccount>::adopt(account);
}

void UserAccount::release() {
  if (--references_ == 0) {
    accounts().erase(Accounts::s_iterator_to(*this));
    delete this;
  }
}

}  // namespace nopte::guest
