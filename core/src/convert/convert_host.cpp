// A conversion of items cut into leaves - numbers, strings, bytes - each run over all items.
#include <algorithm>
#include <functional>
#include <numeric>
#include <variant>
#include <vector>

#include "devview/convert.hpp"
#include "src/checked.hpp"
#include "src/convert/convert_plane.hpp"
#include "src/convert/convert_text.hpp"
#include "src/copy/copy_walk.hpp"
#include "src/copy/plan_parts.hpp"
#include "src/layout/layout_check.hpp"

namespace devview {
namespace {

using convert::NumberConversion;
using convert::TextConversion;

/// Bytes that stay what they are; the plan's unit tells how many.
struct Plain {};

/// One leaf of the formats' trees, in all items.
struct Leaf {
    CopyPlan plan;
    PlanCut cut;
    std::int64_t dst_offset;
    std::int64_t src_offset;
    std::variant<Plain, NumberConversion, TextConversion> conversion;
};

/// A node of the tree: where it lies in each item, and over which axes it is repeated.
struct Side {
    const FormatNode& format;
    Layout layout;
    std::int64_t offset;
};

std::int64_t element_count(const FormatNode& array) noexcept {
    return std::accumulate(array.shape, array.shape + array.ndim, std::int64_t{1},
                           std::multiplies<>());
}

/// The layout with the axes of an array behind it, as one: both sides' are dense.
Layout with_array(const Layout& layout, const FormatNode& array) {
    std::int64_t shape[kMaxNdim];
    std::int64_t strides[kMaxNdim];
    std::copy_n(layout.shape(), layout.ndim(), shape);
    std::copy_n(layout.strides(), layout.ndim(), strides);
    shape[layout.ndim()] = element_count(array);
    strides[layout.ndim()] = array.element->itemsize;
    return Layout::strided(layout.ndim() + 1, shape, strides, nullptr, array.element->itemsize);
}

class Leaves {
public:
    void add(const Side& dst, const Side& src) {
        const bool equal = Format::of_node(&dst.format) == Format::of_node(&src.format);
        if (dst.format.itemsize == 0) return;
        if (equal) {
            add_bytes(dst, src);
        } else if (dst.format.kind == Kind::record) {
            add_members(dst, src);
        } else if (dst.format.kind == Kind::array) {
            add_elements(dst, src);
        } else {
            add_scalar(dst, src);
        }
    }

    void run(char* dst, const char* src) const noexcept {
        for (const Leaf& leaf : leaves_)
            run_leaf(leaf, dst + leaf.dst_offset, src + leaf.src_offset);
    }

private:
    void add_members(const Side& dst, const Side& src) {
        for (std::int32_t k = 0; k < dst.format.field_count; ++k) {
            const FormatField& to = dst.format.fields[k];
            const FormatField& from = src.format.fields[k];
            add({*to.format, dst.layout, dst.offset + to.offset},
                {*from.format, src.layout, src.offset + from.offset});
        }
    }

    void add_elements(const Side& dst, const Side& src) {
        const FormatNode& to = *dst.format.element;
        const FormatNode& from = *src.format.element;
        if (dst.layout.ndim() < kMaxNdim) {
            return add({to, with_array(dst.layout, dst.format), dst.offset},
                       {from, with_array(src.layout, src.format), src.offset});
        }
        for (std::int64_t k = 0; k < element_count(dst.format); ++k) {
            add({to, dst.layout, dst.offset + k * to.itemsize},
                {from, src.layout, src.offset + k * from.itemsize});
        }
    }

    void add_scalar(const Side& dst, const Side& src) {
        const NumberType to = number_type(dst.format);
        if (to.number == Number::none) {
            return add_items(dst, src, TextConversion(dst.format, src.format));
        }
        const NumberConversion conversion(to, number_type(src.format));
        if (conversion.identity()) return add_bytes(dst, src);
        add_items(dst, src, conversion);
    }

    template <typename Conversion>
    void add_items(const Side& dst, const Side& src, const Conversion& conversion) {
        const CopyPlan plan = plan_items(dst.layout, src.layout);
        const std::int64_t size = dst.format.itemsize;
        const PlanCut cut =
            cut_writes(plan, traffic(plan, size + src.format.itemsize), size, Cutting::items);
        leaves_.push_back({plan, cut, dst.offset, src.offset, conversion});
    }

    void add_bytes(const Side& dst, const Side& src) {
        const CopyPlan plan = plan_copy(dst.layout, src.layout, dst.format.itemsize);
        const PlanCut cut =
            cut_writes(plan, traffic(plan, 2 * plan.unit), plan.unit, Cutting::bytes);
        leaves_.push_back({plan, cut, dst.offset, src.offset, Plain{}});
    }

    static std::int64_t traffic(const CopyPlan& plan, std::int64_t unit) noexcept {
        std::int64_t nbytes = 0;
        return checked::mul(plan.count, unit, nbytes) ? nbytes : 0;
    }

    static void run_leaf(const Leaf& leaf, char* dst, const char* src) noexcept {
        if (leaf.plan.count == 0) return;
        if (leaf.cut.parts == 1) return run_part(leaf, leaf.plan, dst, src);
        auto work = [&](int index) noexcept {
            run_part(leaf, leaf.cut.part(leaf.plan, index), dst, src);
        };
        workers::run(leaf.cut.parts, work);
    }

    static void run_part(const Leaf& leaf, const CopyPlan& plan, char* dst,
                         const char* src) noexcept {
        if (std::holds_alternative<Plain>(leaf.conversion)) return run_host(plan, dst, src);
        const rows::Walk walk = arrange(plan);
        rows::each_plane(walk, dst + plan.dst_shift, src + plan.src_shift,
                         [&](char* to, const char* from) { run_plane(leaf, walk, to, from); });
    }

    /// As rows::arrange(), but one item is a row too.
    static rows::Walk arrange(const CopyPlan& plan) noexcept {
        if (plan.ndim > 0) return rows::arrange(plan);
        rows::Walk walk;
        walk.pattern = rows::Pattern::kRows;
        walk.along = walk.other = {1, 0, 0};
        walk.ndim = 0;
        return walk;
    }

    static void run_plane(const Leaf& leaf, const rows::Walk& walk, char* dst,
                          const char* src) noexcept {
        if (const auto* numbers = std::get_if<NumberConversion>(&leaf.conversion)) {
            return convert_plane(*numbers, walk, dst, src);
        }
        const auto& text = *std::get_if<TextConversion>(&leaf.conversion);
        for (std::int64_t k = 0; k < walk.other.extent; ++k) {
            rows::row_strided(text, dst + k * walk.other.dst, src + k * walk.other.src, walk.along);
        }
    }

    std::vector<Leaf> leaves_;
};

}  // namespace

void convert_host(void* dst, const Layout& dst_layout, const Format& dst_format, const void* src,
                  const Layout& src_layout, const Format& src_format) {
    require_convertible("convert", src_format, dst_format, Casting::unsafe);
    detail::check_same_shape("convert", dst_layout, src_layout);
    if (dst_format == src_format) {
        return copy_host(dst, dst_layout, src, src_layout, dst_format.itemsize());
    }
    if (dst_layout.size() == 0) return;
    const int ndim =
        std::max(rows::axes_with_pointers(dst_layout), rows::axes_with_pointers(src_layout));
    Leaves leaves;
    leaves.add({*dst_format.node(), rows::axes_from(dst_layout, ndim, dst_format.itemsize()), 0},
               {*src_format.node(), rows::axes_from(src_layout, ndim, src_format.itemsize()), 0});
    rows::each_block(dst_layout, src_layout, 0, ndim, static_cast<char*>(dst),
                     static_cast<const char*>(src),
                     [&](char* to, const char* from) { leaves.run(to, from); });
}

}  // namespace devview
