// Views as Arrow schemas and arrays: a node for each axis, each of them free to be moved away.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "devview/arrow.hpp"
#include "devview/error.hpp"
#include "src/exchange/arrow_format.hpp"

namespace devview {

namespace {

/// @throws BufferError  Arrow cannot say how the items lie.
void require_arrow_layout(const View& view) {
    if (view.released()) throw ReleasedError("arrow: the view was released");
    if (view.ndim() == 0) {
        throw BufferError("arrow: shape (): an Arrow array has one axis; reshape(1) gives one");
    }
    if (!view.contiguous(Order::C)) {
        throw BufferError("arrow: strides " + Layout::to_string(view.ndim(), view.strides()) +
                          " of shape " + Layout::to_string(view.ndim(), view.shape()) +
                          ": Arrow has none, the items must be C-contiguous; copy() makes them so");
    }
    for (int axis = 1; axis < view.ndim(); ++axis) {
        if (view.shape()[axis] <= arrow::kMaxListSize) continue;
        throw BufferError("arrow: axis " + std::to_string(axis) + ": extent " +
                          std::to_string(view.shape()[axis]) + ", limit " +
                          std::to_string(arrow::kMaxListSize));
    }
}

// --- Schemas ---

struct SchemaNode {
    std::string format{};
    std::string metadata{};
    ArrowSchema child{};  ///< moved away by whoever wants it; released with this node otherwise
    ArrowSchema* children[1] = {&child};

    SchemaNode() = default;
    SchemaNode(const SchemaNode&) = delete;
    SchemaNode& operator=(const SchemaNode&) = delete;
    ~SchemaNode() {
        if (child.release != nullptr) child.release(&child);
    }
};

extern "C" void devview_release_schema(ArrowSchema* schema) {
    delete static_cast<SchemaNode*>(schema->private_data);
    schema->private_data = nullptr;
    schema->release = nullptr;
}

void fill_schema(const View& view, const arrow::ItemType& items, int axis, const char* name,
                 ArrowSchema* schema) {
    auto node = std::make_unique<SchemaNode>();
    const bool leaf = axis + 1 == view.ndim();
    if (leaf) {
        node->format = items.format;
        if (!items.extension.empty()) node->metadata = arrow::extension_metadata(items.extension);
    } else {
        node->format = "+w:" + std::to_string(view.shape()[axis + 1]);
        fill_schema(view, items, axis + 1, "item", &node->child);
    }
    *schema = ArrowSchema{};
    schema->format = node->format.c_str();
    schema->name = name;
    schema->metadata = node->metadata.empty() ? nullptr : node->metadata.data();
    schema->flags = ARROW_FLAG_NULLABLE;  // what all libraries' own types say: types compare equal
    schema->n_children = leaf ? 0 : 1;
    schema->children = leaf ? nullptr : node->children;
    schema->release = devview_release_schema;
    schema->private_data = node.release();
}

// --- Arrays ---

/// The memory, held by every node of one array: the part that goes last gives it back.
struct ExportedMemory {
    std::shared_ptr<Allocation> allocation;
    std::shared_ptr<void> sync_event;

    ExportedMemory(std::shared_ptr<Allocation> held, std::shared_ptr<void> event)
        : allocation(std::move(held)), sync_event(std::move(event)) {
        allocation->add_export();
    }
    ExportedMemory(const ExportedMemory&) = delete;
    ExportedMemory& operator=(const ExportedMemory&) = delete;
    ~ExportedMemory() { allocation->drop_export(); }
};

struct ArrayNode {
    std::shared_ptr<ExportedMemory> memory{};
    const void* buffers[2] = {};  ///< no validity bitmap; then the items, of a leaf
    ArrowArray child{};
    ArrowArray* children[1] = {&child};

    ArrayNode() = default;
    ArrayNode(const ArrayNode&) = delete;
    ArrayNode& operator=(const ArrayNode&) = delete;
    ~ArrayNode() {
        if (child.release != nullptr) child.release(&child);
    }
};

extern "C" void devview_release_array(ArrowArray* array) {
    delete static_cast<ArrayNode*>(array->private_data);
    array->private_data = nullptr;
    array->release = nullptr;
}

void fill_array(const View& view, const std::shared_ptr<ExportedMemory>& memory, int axis,
                std::int64_t length, ArrowArray* array) {
    auto node = std::make_unique<ArrayNode>();
    node->memory = memory;
    const bool leaf = axis + 1 == view.ndim();
    if (leaf) {
        node->buffers[1] = view.data();
    } else {
        fill_array(view, memory, axis + 1, length * view.shape()[axis + 1], &node->child);
    }
    *array = ArrowArray{};
    array->length = length;
    array->n_buffers = leaf ? 2 : 1;
    array->buffers = node->buffers;
    array->n_children = leaf ? 0 : 1;
    array->children = leaf ? nullptr : node->children;
    array->release = devview_release_array;
    array->private_data = node.release();
}

void fill_array(const View& view, std::shared_ptr<void> sync_event, ArrowArray* array) {
    const auto memory = std::make_shared<ExportedMemory>(view.allocation(), std::move(sync_event));
    fill_array(view, memory, 0, view.shape()[0], array);
}

}  // namespace

void to_arrow_schema(const View& view, ArrowSchema* schema) {
    require_arrow_layout(view);
    fill_schema(view, arrow::item_type(view.format()), 0, "", schema);
}

void to_arrow(const View& view, ArrowArray* array) {
    require_arrow_layout(view);
    arrow::item_type(view.format());
    if (!host_accessible(view.device())) {
        throw BufferError("arrow: an ArrowArray is host memory, the view is on " +
                          to_string(view.device()) +
                          "; use __arrow_c_device_array__, or copy it to the cpu");
    }
    fill_array(view, nullptr, array);
}

void to_arrow_device(const View& view, ArrowDeviceArray* array, std::shared_ptr<void> sync_event) {
    require_arrow_layout(view);
    arrow::item_type(view.format());
    void* const event = sync_event.get();
    ArrowDeviceArray filled{};
    fill_array(view, std::move(sync_event), &filled.array);
    filled.device_type = static_cast<ArrowDeviceType>(view.device().type);
    // Arrow's own libraries call the host's only device -1.
    filled.device_id = view.device().type == DeviceType::cpu ? -1 : view.device().id;
    filled.sync_event = event;
    *array = filled;
}

}  // namespace devview
