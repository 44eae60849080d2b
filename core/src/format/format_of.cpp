#include "devview/format_of.hpp"

#include <string>
#include <utility>

#include "devview/error.hpp"
#include "src/quote.hpp"

namespace devview::detail {

Format shared_format(std::string_view text, std::size_t size,
                     std::atomic<const FormatNode*>& known) {
    Format format(text);
    if (static_cast<std::size_t>(format.itemsize()) != size) {
        throw FormatError("format_of: " + quote(text) + ": itemsize " +
                              std::to_string(format.itemsize()) + ", size of the type " +
                              std::to_string(size),
                          text.size());
    }
    const FormatNode* none = nullptr;
    const FormatNode* node = Format(format).detach();
    if (!known.compare_exchange_strong(none, node, std::memory_order_acq_rel)) {
        Format::attach(node);  // another thread was first
    }
    return format;
}

}  // namespace devview::detail
