// The process-wide table of formats in use. Entries are weak: a count of 0 is a miss, so a format
// that another thread is about to erase is never handed out.
#include "src/format/format_intern.hpp"

#include <cstddef>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_map>

namespace devview::detail {
namespace {

struct Key {
    std::string_view spec;  // of a stored key: the root's own text
    std::int64_t itemsize;

    friend bool operator==(const Key& a, const Key& b) noexcept {
        return a.itemsize == b.itemsize && a.spec == b.spec;
    }
};

struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
        return std::hash<std::string_view>{}(key.spec) ^
               (std::hash<std::int64_t>{}(key.itemsize) * 31);
    }
};

struct Table {
    std::mutex mutex;
    std::unordered_map<Key, FormatRoot*, KeyHash> roots;
};

// Never destroyed: formats may live in static objects of any library. Allocates nothing: a first
// look-up is not where memory may run out.
Table& table() noexcept {
    alignas(Table) static std::byte place[sizeof(Table)];
    static auto* const kTable = ::new (static_cast<void*>(place)) Table;
    return *kTable;
}

Key key_of(const FormatRoot& root) noexcept { return {root.node->text, root.key_itemsize}; }

bool retain_live(FormatRoot* root) noexcept {
    std::int64_t count = root->references.load(std::memory_order_relaxed);
    while (count != 0) {
        if (root->references.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

}  // namespace

const FormatNode* find_interned(std::string_view spec, std::int64_t key_itemsize) noexcept {
    Table& formats = table();
    const std::lock_guard<std::mutex> lock(formats.mutex);
    const auto found = formats.roots.find(Key{spec, key_itemsize});
    if (found == formats.roots.end() || !retain_live(found->second)) return nullptr;
    return found->second->node;
}

const FormatNode* intern(std::unique_ptr<FormatRoot> root) {
    Table& formats = table();
    const std::lock_guard<std::mutex> lock(formats.mutex);
    const auto found = formats.roots.find(key_of(*root));
    if (found != formats.roots.end()) {
        if (retain_live(found->second)) return found->second->node;
        formats.roots.erase(found);  // its key lies in a root that is about to go
    }
    formats.roots.emplace(key_of(*root), root.get());
    return root.release()->node;
}

void release_root(FormatRoot* root) noexcept {
    if (root->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    {
        Table& formats = table();
        const std::lock_guard<std::mutex> lock(formats.mutex);
        const auto found = formats.roots.find(key_of(*root));
        if (found != formats.roots.end() && found->second == root) formats.roots.erase(found);
    }
    delete root;
}

}  // namespace devview::detail
