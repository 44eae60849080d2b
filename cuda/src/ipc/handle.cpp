// Writing and reading what travels between processes.
#include "src/ipc/handle.hpp"

#include <cstring>
#include <type_traits>
#include <vector>

#include "devview/error.hpp"
#include "devview/ipc.hpp"

namespace devview {

HandleError::~HandleError() = default;

}  // namespace devview

namespace devview::cuda {

namespace {

// The last byte is the version of all three messages.
constexpr char kHandleMagic[9] = "dv-hand\1";
constexpr char kRequestMagic[9] = "dv-open\1";
constexpr char kAnswerMagic[9] = "dv-view\1";
constexpr char kStaleMagic[9] = "dv-gone\1";
constexpr std::size_t kMagic = 8;
constexpr std::size_t kLongestFormat = 16384;

/// FNV-1a (Fowler, Noll, Vo).
std::uint64_t check_sum(std::string_view bytes) noexcept {
    std::uint64_t sum = 14695981039346656037u;
    for (const char c : bytes)
        sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return sum;
}

template <class T>
void put(std::string& to, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Takes values off the front; throws where there are none left.
class Reader {
public:
    explicit Reader(std::string_view bytes) : left_(bytes) {}
    template <class T>
    T take() {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        std::memcpy(&value, text(sizeof value).data(), sizeof value);
        return value;
    }
    std::string_view text(std::size_t nbytes) {
        if (nbytes > left_.size()) {
            throw HandleError(
                "import_handle: an answer that ends early: " + std::to_string(left_.size()) +
                " bytes, at least " + std::to_string(nbytes));
        }
        const std::string_view result = left_.substr(0, nbytes);
        left_.remove_prefix(nbytes);
        return result;
    }
    bool at_end() const noexcept { return left_.empty(); }

private:
    std::string_view left_;
};

/// As its exporter spelled it, where that says all.
std::string text_of(const Format& format) {
    for (const std::string& text : {std::string(format.text()), format.str()}) {
        if (text.size() <= kLongestFormat && Format(text) == format) return text;
    }
    throw BufferError("export_handle: format '" + format.str().substr(0, 200) +
                      "' cannot be told to another process by its text, at most " +
                      std::to_string(kLongestFormat) + " bytes");
}

Layout read_layout(Reader& reader, std::int64_t itemsize) {
    const auto ndim = reader.take<std::int32_t>();
    if (ndim < 0 || ndim > 64) {
        throw HandleError("import_handle: ndim " + std::to_string(ndim) + ", 0 to 64");
    }
    std::vector<std::int64_t> shape, strides;
    for (int k = 0; k < ndim; ++k)
        shape.push_back(reader.take<std::int64_t>());
    for (int k = 0; k < ndim; ++k)
        strides.push_back(reader.take<std::int64_t>());
    return Layout::strided(ndim, shape.data(), strides.data(), nullptr, itemsize);
}

}  // namespace

std::string encode(const Handle& handle) {
    std::string bytes(kHandleMagic, kMagic);
    put(bytes, handle.server);
    put(bytes, handle.token);
    put(bytes, handle.process);
    put(bytes, std::int32_t{0});
    put(bytes, check_sum(bytes));
    return bytes;
}

Handle decode_handle(std::string_view bytes) {
    if (bytes.size() != kHandleBytes) {
        throw HandleError("import_handle: handle of " + std::to_string(bytes.size()) +
                          " bytes, one has " + std::to_string(kHandleBytes));
    }
    Reader reader(bytes);
    const std::string_view magic = reader.text(kMagic);
    if (magic.substr(0, kMagic - 1) != std::string_view(kHandleMagic, kMagic - 1)) {
        throw HandleError("import_handle: these bytes are no handle of memory");
    }
    if (magic[kMagic - 1] != kHandleMagic[kMagic - 1]) {
        throw HandleError("import_handle: handle of version " +
                          std::to_string(static_cast<unsigned char>(magic[kMagic - 1])) +
                          ", this devview reads 1");
    }
    Handle handle;
    handle.server = reader.take<Id>();
    handle.token = reader.take<Id>();
    handle.process = reader.take<std::int32_t>();
    const auto reserved = reader.take<std::int32_t>();
    const auto sum = reader.take<std::uint64_t>();
    if (reserved != 0 || sum != check_sum(bytes.substr(0, kHandleBytes - sizeof sum))) {
        throw HandleError("import_handle: the handle was changed on its way");
    }
    return handle;
}

std::string request_for(const Id& token) {
    std::string bytes(kRequestMagic, kMagic);
    put(bytes, token);
    return bytes;
}

std::optional<Id> token_of(const std::string& request) {
    Id token{};
    if (request.size() != kMagic + token.size() ||
        request.compare(0, kMagic, kRequestMagic, kMagic) != 0) {
        return std::nullopt;
    }
    std::memcpy(token.data(), request.data() + kMagic, token.size());
    return token;
}

std::string encode(const Description& what) {
    const std::string format = text_of(what.format);
    std::string bytes(kAnswerMagic, kMagic);
    put(bytes, what.block);
    put(bytes, std::int32_t{what.emulated});
    put(bytes, std::int32_t{what.readonly});
    put(bytes, what.device);
    put(bytes, what.place);
    put(bytes, what.nbytes);
    put(bytes, what.offset);
    put(bytes, what.pointer);
    put(bytes, static_cast<std::int64_t>(format.size()));
    bytes += format;
    put(bytes, std::int32_t{what.layout.ndim()});
    for (int k = 0; k < what.layout.ndim(); ++k)
        put(bytes, what.layout.shape()[k]);
    for (int k = 0; k < what.layout.ndim(); ++k)
        put(bytes, what.layout.strides()[k]);
    return bytes;
}

std::string stale_answer() { return std::string(kStaleMagic, kMagic); }

Description decode_description(const std::string& bytes) {
    if (bytes == stale_answer()) {
        throw HandleError("import_handle: stale handle: its memory was given back");
    }
    Reader reader(bytes);
    if (reader.text(kMagic) != std::string_view(kAnswerMagic, kMagic)) {
        throw HandleError("import_handle: the exporter's answer is of another version");
    }
    Description what;
    what.block = reader.take<Id>();
    what.emulated = reader.take<std::int32_t>() != 0;
    what.readonly = reader.take<std::int32_t>() != 0;
    what.device = reader.take<std::int32_t>();
    what.place = reader.take<PciPlace>();
    what.nbytes = reader.take<std::int64_t>();
    what.offset = reader.take<std::int64_t>();
    what.pointer = reader.take<cudaMemPoolPtrExportData>();
    const auto length = reader.take<std::int64_t>();
    if (what.nbytes < 1 || what.offset < 0 || what.offset > what.nbytes || length < 0 ||
        length > static_cast<std::int64_t>(kLongestFormat)) {
        throw HandleError("import_handle: the exporter's answer makes no sense: " +
                          std::to_string(what.nbytes) + " bytes, offset " +
                          std::to_string(what.offset) + ", format of " + std::to_string(length));
    }
    what.format = Format(std::string(reader.text(static_cast<std::size_t>(length))));
    what.layout = read_layout(reader, what.format.itemsize());
    if (!reader.at_end()) throw HandleError("import_handle: an answer that does not end");
    return what;
}

}  // namespace devview::cuda
