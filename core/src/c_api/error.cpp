#include "devview/error.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "devview/c_api.h"
#include "devview/c_api/errors.hpp"

namespace devview::c_api {
namespace {

// Without a constructor or a destructor: of use at any time in a thread's life.
struct LastError {
    devview_status status;
    std::int64_t position;
    std::int32_t code;
    std::array<char, 512> text;
};
thread_local constinit LastError last_error{DEVVIEW_OK, -1, 0, {}};

// What a caller of version 1 declares: up to `code`.
constexpr std::uint32_t kErrorSize1 = offsetof(devview_error, code);

}  // namespace

devview_status refuse(devview_status status, const char* text, std::int64_t position,
                      std::int32_t code) noexcept {
    LastError& error = last_error;
    error.status = status;
    error.position = position;
    error.code = code;
    const std::size_t length = ::strnlen(text, error.text.size() - 1);
    std::memcpy(error.text.data(), text, length);
    error.text[length] = '\0';
    return status;
}

Refusal::~Refusal() = default;

// The one place that names every class of error.hpp for C.
devview_status refuse_current_exception() noexcept {
    try {
        throw;
    } catch (const Refusal& error) {
        return refuse(error.status(), error.what());
    } catch (const FormatError& error) {
        return refuse(DEVVIEW_ERROR_FORMAT, error.what(),
                      static_cast<std::int64_t>(error.position()));
    } catch (const LayoutError& error) {
        return refuse(DEVVIEW_ERROR_LAYOUT, error.what());
    } catch (const BufferError& error) {
        return refuse(DEVVIEW_ERROR_BUFFER, error.what());
    } catch (const ReleasedError& error) {
        return refuse(DEVVIEW_ERROR_RELEASED, error.what());
    } catch (const OutOfMemory& error) {
        return refuse(DEVVIEW_ERROR_MEMORY, error.what());
    } catch (const NameError& error) {
        return refuse(DEVVIEW_ERROR_ARGUMENT, error.what());
    } catch (const DeviceError& error) {
        return refuse(DEVVIEW_ERROR_DEVICE, error.what(), -1, error.code());
    } catch (const std::out_of_range& error) {  // an index
        return refuse(DEVVIEW_ERROR_ARGUMENT, error.what());
    } catch (const std::bad_alloc&) {
        return refuse(DEVVIEW_ERROR_MEMORY, "memory is exhausted");
    } catch (const std::exception& error) {
        return refuse(DEVVIEW_ERROR_INTERNAL, error.what());
    } catch (...) {
        return refuse(DEVVIEW_ERROR_INTERNAL, "an exception of unknown type");
    }
}

void write_text(const char* function, const std::string& text, char* buffer, std::size_t capacity,
                std::size_t* length) {
    if (buffer == nullptr && capacity != 0) require(buffer, function, "buffer");
    if (length != nullptr) *length = text.size();
    if (buffer == nullptr) return;
    if (text.size() >= capacity) {
        throw Refusal(DEVVIEW_ERROR_SIZE, std::string(function) +
                                              ": buffer: " + std::to_string(capacity) +
                                              " bytes, needed " + std::to_string(text.size() + 1));
    }
    std::memcpy(buffer, text.c_str(), text.size() + 1);
}

}  // namespace devview::c_api

using devview::c_api::kErrorSize1;
using devview::c_api::last_error;

std::uint32_t devview_c_api_version() { return DEVVIEW_C_API_VERSION; }

const char* devview_last_error() { return last_error.text.data(); }

devview_status devview_last_error_details(devview_error* error) {
    if (error == nullptr) return DEVVIEW_ERROR_ARGUMENT;
    if (error->struct_size != kErrorSize1 && error->struct_size != sizeof(devview_error)) {
        return DEVVIEW_ERROR_VERSION;
    }
    error->status = last_error.status;
    error->text = last_error.text.data();
    error->position = last_error.position;
    if (error->struct_size > kErrorSize1) error->code = last_error.code;
    return DEVVIEW_OK;
}
