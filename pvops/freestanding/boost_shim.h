// Force-included in image builds: what Boost.Intrusive needs to know about a freestanding world.
#pragma once

#define BOOST_NO_EXCEPTIONS 1
#define BOOST_NO_RTTI 1
#define BOOST_NO_TYPEID 1
#define BOOST_DISABLE_THREADS 1
#define BOOST_ENABLE_ASSERT_HANDLER 1
