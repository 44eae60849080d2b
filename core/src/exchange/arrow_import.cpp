// Arrow arrays as views: everything that a schema and an array say is checked before one is moved.
#include <bitset>
#include <memory>
#include <string>
#include <utility>

#include "devview/arrow.hpp"
#include "devview/error.hpp"
#include "src/checked.hpp"
#include "src/exchange/arrow_format.hpp"

namespace devview {

namespace {

/// No address of a process is larger, with five levels of page tables either.
constexpr std::uintptr_t kMaxAddress = std::uintptr_t{1} << 56;

/// "array", "array.children[0]", ...: where a member is that makes no sense.
std::string place_of(int depth) {
    std::string place = "array";
    for (int i = 0; i < depth; ++i)
        place += ".children[0]";
    return place;
}

[[noreturn]] void fail(int depth, const std::string& what) {
    throw LayoutError("arrow: " + place_of(depth) + "." + what);
}

void require_count(int depth, const char* member, std::int64_t value, std::int64_t wanted) {
    if (value == wanted) return;
    fail(depth, std::string(member) + " is " + std::to_string(value) + ", the type has " +
                    std::to_string(wanted));
}

void require_schema(const ArrowSchema& schema, int depth, std::int64_t children) {
    if (schema.n_children != children) {
        throw LayoutError("arrow: schema.n_children of " + place_of(depth) + " is " +
                          std::to_string(schema.n_children) + ", format '" + schema.format +
                          "' has " + std::to_string(children));
    }
    if (children > 0 && (schema.children == nullptr || schema.children[0] == nullptr)) {
        throw LayoutError("arrow: schema.children of " + place_of(depth) + " is NULL");
    }
    if (children > 0 && schema.children[0]->release == nullptr) {
        throw BufferError("arrow: schema.children[0] of " + place_of(depth) + " was released");
    }
}

void require_lengths(const ArrowArray& array, int depth) {
    if (array.length < 0) fail(depth, "length is " + std::to_string(array.length) + ", limit 0");
    if (array.offset < 0) fail(depth, "offset is " + std::to_string(array.offset) + ", limit 0");
    std::int64_t end = 0;
    if (!checked::add(array.offset, array.length, end)) {
        fail(depth, "offset " + std::to_string(array.offset) + " and length " +
                        std::to_string(array.length) + " are more than int64");
    }
}

/// Members that every array has.
void require_array(const ArrowArray& array, int depth, bool leaf) {
    require_lengths(array, depth);
    if (array.null_count < -1 || array.null_count > array.length) {
        fail(depth, "null_count is " + std::to_string(array.null_count) + ", the length " +
                        std::to_string(array.length));
    }
    if (array.dictionary != nullptr) fail(depth, "dictionary: the schema has none");
    require_count(depth, "n_buffers", array.n_buffers, leaf ? 2 : 1);
    require_count(depth, "n_children", array.n_children, leaf ? 0 : 1);
    if (array.buffers == nullptr) fail(depth, "buffers is NULL");
    if (leaf) return;
    if (array.children == nullptr || array.children[0] == nullptr) {
        fail(depth, "children is NULL");
    }
    if (array.children[0]->release == nullptr) {
        throw BufferError("arrow: " + place_of(depth + 1) + " was released");
    }
}

/// `first` and `count`: the items of this array that the view reaches, physical indices.
void note_validity(const ArrowArray& array, int depth, std::int64_t first, std::int64_t count,
                   std::vector<ArrowValidity>& validity) {
    // Of the outermost array the count is of just these items; of others it is of all.
    const bool exact = depth == 0 && array.null_count > 0;
    const void* const bitmap = array.buffers[0];
    if (exact || (array.null_count > 0 && bitmap == nullptr)) {
        throw BufferError("arrow: " + place_of(depth) + ".null_count is " +
                          std::to_string(array.null_count) + ", a view has no nulls; fill them");
    }
    if (array.null_count == 0 || bitmap == nullptr || count == 0) return;
    validity.push_back({static_cast<const std::uint8_t*>(bitmap), first, count});
}

void require_readable(const ArrowSchema& schema, const ArrowArray& array) {
    if (schema.release == nullptr) throw BufferError("arrow: schema was released");
    if (array.release == nullptr) throw BufferError("arrow: array was released, or taken over");
}

/// The window of an array that a view shows, in items from the physical start of its buffers.
struct Window {
    std::int64_t first;
    std::int64_t count;
};

/// What a list's items take of its child, whose own offset comes on top.
Window child_window(const ArrowArray& list, Window window, std::int64_t size, int depth) {
    const ArrowArray& child = *list.children[0];
    require_lengths(child, depth + 1);
    std::int64_t end = 0;
    Window inner{};
    const bool fits = checked::mul(window.first + window.count, size, end) &&
                      checked::mul(window.first, size, inner.first) &&
                      checked::mul(window.count, size, inner.count);
    if (!fits || end > child.length) {
        fail(depth + 1, "length is " + std::to_string(child.length) + ", the list needs " +
                            std::to_string(window.first + window.count) + " times " +
                            std::to_string(size));
    }
    inner.first += child.offset;  // cannot overflow: at most offset + length
    return inner;
}

const void* first_item(const ArrowArray& array, Window window, std::int64_t itemsize, int depth) {
    const void* const start = array.buffers[1];
    std::int64_t skipped = 0, end = 0;
    if (!checked::mul(window.first + window.count, itemsize, end) ||
        !checked::mul(window.first, itemsize, skipped)) {
        fail(depth, "length and offset: " + std::to_string(window.first + window.count) +
                        " items of " + std::to_string(itemsize) + " bytes are more than int64");
    }
    if (window.count == 0) return start;
    if (start == nullptr) {
        fail(depth, "buffers[1] is NULL, the length " + std::to_string(array.length));
    }
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    if (address > kMaxAddress || static_cast<std::uintptr_t>(end) > kMaxAddress - address) {
        fail(depth, "buffers[1]: " + std::to_string(end) + " bytes from address " +
                        std::to_string(address) + " leave the address space");
    }
    return static_cast<const char*>(start) + skipped;
}

bool all_set(const ArrowValidity& validity) {
    const auto bit = [&](std::int64_t i) { return (validity.bitmap[i / 8] >> (i % 8) & 1) != 0; };
    std::int64_t i = validity.first;
    const std::int64_t end = i + validity.count;
    for (; i < end && i % 8 != 0; ++i) {
        if (!bit(i)) return false;
    }
    for (; end - i >= 8; i += 8) {
        if (validity.bitmap[i / 8] != 0xff) return false;
    }
    for (; i < end; ++i) {
        if (!bit(i)) return false;
    }
    return true;
}

bool known_type(std::int32_t type) noexcept {
    return (type >= 1 && type <= 4) || (type >= 7 && type <= 18);
}

struct HeldArray {
    ArrowArray array;
    ReleaseArrow release;
};

void give_back(void* context, Stream) noexcept {
    const std::unique_ptr<HeldArray> held(static_cast<HeldArray*>(context));
    held->release(&held->array);
}

}  // namespace

ArrowDescription read_arrow(const ArrowSchema& outer, const ArrowArray& array) {
    require_readable(outer, array);
    const ArrowSchema* schema = &outer;
    const ArrowArray* part = &array;
    std::int64_t shape[kMaxNdim];
    ArrowDescription description{};
    Window window{};
    std::int64_t size = 0;
    int depth = 0;
    for (bool list = true; list; ++depth) {
        if (schema->dictionary != nullptr) {
            throw BufferError("arrow: " + place_of(depth) +
                              " is dictionary-encoded; decode it first");
        }
        list = arrow::is_fixed_size_list(*schema, size);
        if (!list) description.format = arrow::item_format(*schema);
        require_schema(*schema, depth, list ? 1 : 0);
        require_array(*part, depth, !list);
        if (depth == 0) {
            shape[0] = part->length;
            window = {part->offset, part->length};
        }
        note_validity(*part, depth, window.first, window.count, description.validity);
        if (!list) break;
        if (depth + 1 == kMaxNdim) {
            throw LayoutError("arrow: lists in lists: more than " + std::to_string(kMaxNdim) +
                              " axes");
        }
        shape[depth + 1] = size;
        window = child_window(*part, window, size, depth);
        schema = schema->children[0];
        part = part->children[0];
    }
    const std::int64_t itemsize = description.format.itemsize();
    description.layout = Layout::contiguous(depth + 1, shape, itemsize);
    description.data = first_item(*part, window, itemsize, depth);
    return description;
}

Device read_arrow_device(const ArrowDeviceArray& array) {
    if (!known_type(array.device_type)) {
        throw BufferError("arrow: device_type is " + std::to_string(array.device_type) +
                          ", none of DLPack's");
    }
    const auto type = static_cast<DeviceType>(array.device_type);
    Device device{type, 0};
    // The host, and memory that CUDA maps for all devices: no id, -1 or the mapping device's.
    if (!host_accessible(device)) {
        if (array.device_id < 0 || array.device_id > 0x7fffffff) {
            throw BufferError("arrow: device_id is " + std::to_string(array.device_id) +
                              ", must be from 0 to 2^31 - 1");
        }
        device.id = static_cast<std::int32_t>(array.device_id);
    }
    if (array.sync_event != nullptr && !is_cuda(device)) {
        throw BufferError("arrow: sync_event of " + to_string(device) +
                          ": devview can wait for CUDA's events only");
    }
    return device;
}

void require_no_nulls(const ArrowDescription& description) {
    for (const ArrowValidity& validity : description.validity) {
        if (all_set(validity)) continue;
        throw BufferError("arrow: buffers[0]: there are nulls among " +
                          std::to_string(validity.count) + " items, a view has none; fill them");
    }
}

void release_arrow(ArrowArray* array) noexcept { array->release(array); }

View adopt_arrow(ArrowDescription&& description, Device device, ArrowArray* array, Stream stream,
                 Adopt adopt, ReleaseArrow release) {
    auto held = std::make_unique<HeldArray>(HeldArray{*array, release});
    void* const data = const_cast<void*>(description.data);
    Allocation::Block block;
    block.data = data;
    block.nbytes =
        static_cast<std::size_t>(description.layout.nbytes(description.format.itemsize()));
    block.device = device;
    block.stream = std::move(stream);
    block.release = give_back;
    block.context = held.get();
    auto allocation = adopt(std::move(block));
    held.release();
    array->release = nullptr;
    return View(std::move(allocation), data, std::move(description.format),
                std::move(description.layout), true);
}

View from_arrow(const ArrowSchema& schema, ArrowArray* array) {
    ArrowDescription description = read_arrow(schema, *array);
    require_no_nulls(description);
    return adopt_arrow(std::move(description), Device{}, array);
}

}  // namespace devview
