// Must not compile, by one static_assert that says why: FAULT picks the mistake (CMakeLists.txt).
#include <string>

#include "devview/format_of.hpp"

namespace {

struct Unknown {
    int value;
};
struct Member {
    Unknown unknown;
};
DEVVIEW_RECORD(Member, unknown);
struct Pair {
    int first;
    int second;
};

#if FAULT == 1
using Asked = Unknown;
#elif FAULT == 2
using Asked = Member;
#elif FAULT == 3
DEVVIEW_RECORD(Pair, second, first);
using Asked = Pair;
#elif FAULT == 4
DEVVIEW_RECORD_AS(Pair, (first, "a:b"));
using Asked = Pair;
#elif FAULT == 5
struct Owner {
    std::string name;
};
DEVVIEW_RECORD(Owner, name);
using Asked = Owner;
#else
DEVVIEW_RECORD(Pair, first, second);
using Asked = Pair;
#endif

[[maybe_unused]] constexpr auto text = devview::format_text<Asked>;

}  // namespace
