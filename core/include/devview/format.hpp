// What one item is: an immutable, interned descriptor. Reads and prints PEP 3118; moves no data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "devview/export.hpp"

namespace devview {

/// What a format node stands for.
enum class Kind : std::int32_t {
    boolean,           ///< '?'
    integer,           ///< b h i l q n, and int4
    unsigned_integer,  ///< B H I L Q N, and uint4
    floating,          ///< e f d g, and the small floats (see FloatKind)
    complex_floating,  ///< Z and F D G
    character,         ///< 'c': one byte, a bytes object of length 1
    bytes,             ///< 's': fixed-size byte string
    pascal,            ///< 'p'
    unicode,           ///< 'u' (UCS-2) and 'w' (UCS-4); a count makes a string of `itemsize` bytes
    pointer,           ///< 'P' and '&'
    function,          ///< 'X{...}'
    object,            ///< 'O'
    bits,              ///< 't': `bits` bits, packed with its neighbours
    opaque,            ///< 'x': bytes without a meaning
    record,            ///< T{...}, or several items in a row
    array,             ///< (k1,...,kn) or a count of a scalar: C-contiguous sub-array of `element`
};

enum class ByteOrder : std::int32_t { native, little, big };  ///< native: also one-byte items

/// The floats that struct has no code for, by DLPack's type code; ieee for e f d g.
enum class FloatKind : std::int32_t {
    ieee = 2,
    bfloat16 = 4,
    float8_e3m4 = 7,
    float8_e4m3 = 8,
    float8_e4m3b11fnuz = 9,
    float8_e4m3fn = 10,
    float8_e4m3fnuz = 11,
    float8_e5m2 = 12,
    float8_e5m2fnuz = 13,
    float8_e8m0fnu = 14,
    float6_e2m3fn = 15,
    float6_e3m2fn = 16,
    float4_e2m1fn = 17,
};

/// Of FormatNode's layout.
inline constexpr std::uint32_t kFormatNodeVersion = 2;

struct FormatNode;

/// A member of a record. `name` is empty ("", never null) if it has none.
struct FormatField {
    const char* name;
    std::int64_t offset;  ///< bytes from the start of the item
    const FormatNode* format;
    std::int32_t bit_offset;  ///< of bits: of the first one in its byte, lowest bit 0; else 0
};

/// The descriptor as plain C data, immutable and shared; reached from a Format and kept by it.
/// Padding between members is not a member: offsets and itemsize tell. C sees it, and the types
/// above, as c_api.h has them: members are only ever added at the end.
struct FormatNode {
    std::uint32_t version;  ///< kFormatNodeVersion
    Kind kind;
    ByteOrder byteorder;        ///< of a scalar; little or big only if it differs from the host's
    FloatKind float_kind;       ///< of floating and complex kinds
    char code;                  ///< struct code of a scalar of this size ('i' for "<l", 'Z' for
                                ///< complex, '&', 'X'); 0 for small types, records and arrays
    bool immortal;              ///< static lifetime, never counted
    std::int32_t bits;          ///< of a scalar: value bits (32 for 'f', 4 for int4, n for 'nt')
    std::int64_t itemsize;      ///< bytes, trailing padding included
    std::int64_t alignment;     ///< bytes, at least 1: a scalar's own, of a record its '@' members'
    std::int32_t ndim;          ///< of an array: axes of `shape`
    std::int32_t field_count;   ///< of a record
    const std::int64_t* shape;  ///< of an array
    const FormatNode* element;  ///< of an array; of a pointer '&': what it points to, or null
    const FormatField* fields;  ///< of a record
    const char* text;           ///< the format as it was spelled by the exporter, NUL-terminated
    bool packed;                ///< of a scalar: items lie `bits` bits apart (see Format::packed)
};

/// A reference to an interned descriptor. Cheap to copy, thread-safe, never null.
///
/// Two formats that mean the same compare equal, whatever their spelling ("i", "@i", "<i" and, on
/// LP64 systems, "l" and "q" are equal on a little-endian host). The spelling is kept apart, so
/// that a buffer is exported with the very string that it came with.
class DEVVIEW_CORE_API Format {
public:
    /// Unsigned bytes, "B".
    Format() noexcept;

    /// Reads a PEP 3118 or struct format. Linear in its length. Limits: 2^20 bytes, nesting 64,
    /// 65536 members and brackets, names of 1024 bytes, items below 2^47 bytes.
    /// @throws FormatError  with the position of the first byte that cannot be read.
    explicit Format(std::string_view spec);

    /// As Format(spec), but trusts the exporter's itemsize [bytes]: members are laid out as ctypes
    /// and NumPy mean their formats where only that gives it, else a record is padded at its end.
    /// @throws FormatError  also if the items do not fit into `itemsize`, or a scalar differs.
    static Format with_itemsize(std::string_view spec, std::int64_t itemsize);

    /// The scalar of a struct code in native size and order. Constant time, allocates nothing.
    /// @throws FormatError  for a letter that is no scalar.
    static Format scalar(char code);

    /// A small float or sub-byte integer by DLPack type code, bits; ieee floats, ints, complex too.
    /// @throws FormatError  if DLPack has no such type, or lanes other than 1.
    static Format from_dlpack(std::uint8_t code, std::uint8_t bits, std::uint16_t lanes = 1);

    Format(const Format& other) noexcept : node_(other.node_) { retain(); }
    Format(Format&& other) noexcept : node_(std::exchange(other.node_, byte_node())) {}
    Format& operator=(Format other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~Format() { release(); }

    Kind kind() const noexcept { return node_->kind; }
    std::int64_t itemsize() const noexcept { return node_->itemsize; }
    std::int64_t alignment() const noexcept { return node_->alignment; }
    ByteOrder byteorder() const noexcept { return node_->byteorder; }
    char code() const noexcept { return node_->code; }
    /// Bytes of `count` items that lie densely.
    std::int64_t nbytes(std::int64_t count) const noexcept {
        if (!node_->packed) return count * node_->itemsize;
        return count / 8 * node_->bits + (count % 8 * node_->bits + 7) / 8;
    }
    /// True if items lie `bits` bits apart, less than a byte: item k begins at bit k * bits, the
    /// lowest bit of a byte first (DLPack). Itemsize is then 1, what an item takes alone.
    bool is_packed() const noexcept { return node_->packed; }
    /// The same numbers packed. @throws FormatError  they have no packed form.
    Format packed() const;
    /// The same numbers with one byte to each; any other format itself.
    Format padded() const noexcept;
    /// True for a scalar in native byte order whose struct code memoryview knows.
    bool native_scalar() const noexcept;
    /// True if the items hold Python objects ('O'), at any depth.
    bool has_objects() const noexcept;

    /// The format as its exporter spelled it.
    const char* text() const noexcept { return node_->text; }
    /// The canonical spelling: equal formats have equal strings, and Format(str()) is equal.
    std::string str() const;

    const FormatNode* node() const noexcept { return node_; }

    /// A handle of a node that is a part of this format (a field's, an array's element).
    static Format of_node(const FormatNode* node) noexcept;

    /// Gives this format's reference away, to code that cannot hold a Format; attach() takes it.
    const FormatNode* detach() && noexcept { return std::exchange(node_, byte_node()); }
    static Format attach(const FormatNode* node) noexcept { return Format(node); }

    friend bool operator==(const Format& a, const Format& b) noexcept {
        return a.node_ == b.node_ || same(a.node_, b.node_);
    }
    friend bool operator!=(const Format& a, const Format& b) noexcept { return !(a == b); }
    /// Equal formats have equal hashes.
    std::size_t hash() const noexcept;

private:
    explicit Format(const FormatNode* node) noexcept : node_(node) {}
    static const FormatNode* byte_node() noexcept;
    static bool same(const FormatNode* a, const FormatNode* b) noexcept;
    static void retain_node(const FormatNode* node) noexcept;
    static void release_node(const FormatNode* node) noexcept;
    void retain() const noexcept {
        if (!node_->immortal) retain_node(node_);
    }
    void release() const noexcept {
        if (!node_->immortal) release_node(node_);
    }

    const FormatNode* node_;
};

}  // namespace devview
