// The words for what a ViewOf wants and what it was given.
#include "devview/view_wish.hpp"

#include <string>
#include <utility>

#include "src/layout/view_checks.hpp"
#include "src/quote.hpp"

namespace devview {

namespace {

const char* stem(Kind kind) noexcept {
    switch (kind) {
        case Kind::integer:
            return "int";
        case Kind::unsigned_integer:
            return "uint";
        case Kind::floating:
            return "float";
        case Kind::complex_floating:
            return "complex";
        default:
            return nullptr;
    }
}

/// Names that are not a stem and a number of bits.
const char* small_float(FloatKind kind) noexcept {
    switch (kind) {
        case FloatKind::ieee:
            return nullptr;
        case FloatKind::bfloat16:
            return "bfloat16";
        case FloatKind::float8_e3m4:
            return "float8_e3m4";
        case FloatKind::float8_e4m3:
            return "float8_e4m3";
        case FloatKind::float8_e4m3b11fnuz:
            return "float8_e4m3b11fnuz";
        case FloatKind::float8_e4m3fn:
            return "float8_e4m3fn";
        case FloatKind::float8_e4m3fnuz:
            return "float8_e4m3fnuz";
        case FloatKind::float8_e5m2:
            return "float8_e5m2";
        case FloatKind::float8_e5m2fnuz:
            return "float8_e5m2fnuz";
        case FloatKind::float8_e8m0fnu:
            return "float8_e8m0fnu";
        case FloatKind::float6_e2m3fn:
            return "float6_e2m3fn";
        case FloatKind::float6_e3m2fn:
            return "float6_e3m2fn";
        case FloatKind::float4_e2m1fn:
            return "float4_e2m1fn";
    }
    return nullptr;
}

/// "(3,)": Layout::to_string's spelling, `any` where an extent is free.
std::string extents_text(int rank, const std::int64_t* extents) {
    std::string text = "(";
    for (int i = 0; i < rank; ++i) {
        const bool free = extents == nullptr || extents[i] == any;
        text += (i > 0 ? ", " : "") + (free ? std::string("any") : std::to_string(extents[i]));
    }
    return text + (rank == 1 ? ",)" : ")");
}

const char* place_name(Place place) noexcept {
    switch (place) {
        case Place::cpu:
            return "cpu";
        case Place::host:
            return "memory that the host can follow (cpu, pinned, managed)";
        case Place::cuda:
            return "cuda";
        case Place::device:
            return "memory that kernels can follow (cuda, pinned, managed)";
        case Place::any:
            break;
    }
    return "any";
}

class Faults {
public:
    void add(const char* what, const std::string& wish, const std::string& fact) {
        text_ += std::string(text_.empty() ? "" : "; ") + what + ": " + wish + " wanted, " + fact +
                 " given";
    }
    std::string text() && { return std::move(text_); }

private:
    std::string text_{};
};

void add_axes(Faults& faults, const Wish& wish, const Layout& given) {
    if (wish.rank == any_rank) return;
    const std::string shape = Layout::to_string(given.ndim(), given.shape());
    if (given.ndim() != wish.rank) {
        faults.add("axes", std::to_string(wish.rank),
                   std::to_string(given.ndim()) + " (shape " + shape + ")");
    } else if (wish.extents != nullptr && detail::wrong_axis(given, wish.extents) >= 0) {
        faults.add("shape", extents_text(wish.rank, wish.extents), shape);
    }
}

void add_alignment(Faults& faults, const Wish& wish, const ViewFacts& view,
                   const std::string& strides) {
    // Of other items than T it would say nothing.
    const bool same_items = wish.any_format || view.format == wish.format;
    if (!same_items || detail::without_items(view.layout)) return;
    const std::string wanted = "multiples of " + std::to_string(wish.alignment) + " bytes";
    if (const std::size_t off = detail::misplaced_by(view.data, wish.alignment); off != 0) {
        faults.add("alignment", wanted, "data " + std::to_string(off) + " bytes behind one");
    } else if (detail::odd_axis(view.layout, static_cast<std::int64_t>(wish.alignment)) >= 0) {
        faults.add("alignment", wanted, strides);
    }
}

void add_strides(Faults& faults, const Wish& wish, const ViewFacts& view) {
    const Layout& given = view.layout;
    const std::string strides = "strides " + Layout::to_string(given.ndim(), given.strides()) +
                                " of shape " + Layout::to_string(given.ndim(), given.shape());
    if (wish.order != Contiguity::any) {
        const Order order = wish.order == Contiguity::c ? Order::C : Order::F;
        if (!given.contiguous(view.format.itemsize(), order)) {
            faults.add("order", order == Order::C ? "C-contiguous" : "Fortran-contiguous", strides);
        }
    }
    if (detail::indirect_axis(given) >= 0) faults.add("suboffsets", "none", "some");
    add_alignment(faults, wish, view, strides);
}

}  // namespace

std::string item_name(const Format& format) {
    const FormatNode& node = *format.node();
    std::string name;
    if (node.kind == Kind::boolean) {
        name = "bool";
    } else if (const char* const small = small_float(node.float_kind);
               small != nullptr && node.kind == Kind::floating) {
        name = small;
    } else if (const char* const start = stem(node.kind)) {
        const bool whole = node.kind == Kind::floating || node.kind == Kind::complex_floating;
        name = start + std::to_string(whole ? node.itemsize * 8 : std::int64_t{node.bits});
    } else {
        return detail::quote(format.text());
    }
    if (node.byteorder == ByteOrder::native) return name;
    return (node.byteorder == ByteOrder::big ? "big-endian " : "little-endian ") + name;
}

std::string wish_axes_refusal(const Wish& wish, const View& view) {
    Faults faults;
    add_axes(faults, wish, view.layout());
    return std::move(faults).text();
}

std::string wish_refusal(const Wish& wish, const ViewFacts& view) {
    if (view.released) return "a released View given";
    Faults faults;
    if (!wish.any_format && view.format != wish.format) {
        faults.add("items", item_name(wish.format), item_name(view.format));
    }
    add_axes(faults, wish, view.layout);
    if (!place_accepts(wish.place, view.device)) {
        faults.add("device", place_name(wish.place), to_string(view.device));
    }
    if (wish.writable && view.readonly) faults.add("access", "writable", "read-only");
    add_strides(faults, wish, view);
    return std::move(faults).text();
}

std::string wish_refusal(const Wish& wish, const View& view) {
    return wish_refusal(wish, ViewFacts(view));
}

}  // namespace devview
