// The items of a device view as one run of bytes in C order, moved to and from other memory.
#pragma once

#include <cstdint>

#include "devview/copy_plan.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/layout.hpp"
#include "src/memory/device_memory.hpp"

namespace devview::cuda {

/// Runs a plan between two places of the stream's device: one memcpy, pitched copy or kernel.
void copy_on_device(const CopyPlan& plan, void* dst, const void* src, const Stream& stream);

/// Moves ranges of the run between the view and dense host memory that outlives the work.
///
/// One call of to_host() or from_host() enqueues, for a whole view: a dense one 1 memcpy; rows, or
/// slices of rows, 1 pitched copy; any other 1 kernel and 1 memcpy through device memory that lives
/// as long as this.
class Packing {
public:
    /// `largest`: bytes of the longest range.
    Packing(void* data, const Layout& layout, std::int64_t itemsize, std::int64_t largest,
            const Stream& stream);

    std::int64_t nbytes() const noexcept { return plan_.unit * plan_.count; }
    /// Ranges begin and end at multiples of this many bytes.
    std::int64_t grain() const noexcept;
    void to_host(void* host, std::int64_t offset, std::int64_t nbytes);
    void from_host(const void* host, std::int64_t offset, std::int64_t nbytes);

private:
    enum class Way { dense, rows, long_rows, packed };
    static Way choose(const CopyPlan& plan, std::int64_t largest) noexcept;

    void move(char* host, std::int64_t offset, std::int64_t nbytes, bool to_host);
    void move_rows(char* host, std::int64_t first, std::int64_t rows, bool to_host);
    void move_box(char* host, std::int64_t first, std::int64_t rows, bool to_host);
    void move_long_rows(char* host, std::int64_t offset, std::int64_t nbytes, bool to_host);
    void move_packed(char* host, std::int64_t first, std::int64_t units, bool to_host);
    void make_temp();
    void move_part(char* host, std::int64_t first, std::int64_t units, bool to_host);
    void memcpy(void* device, void* host, std::int64_t nbytes, bool to_host);
    char* unit_at(std::int64_t unit) const noexcept;

    char* data_;
    CopyPlan plan_;          ///< to dense memory, in C order
    CopyPlan from_dense_{};  ///< the same with the sides exchanged
    Way way_;
    std::int64_t largest_;
    Stream stream_;
    DeviceTemp temp_{};
};

/// A plan from a strided side to dense memory in C order.
CopyPlan plan_to_dense(const Layout& layout, std::int64_t itemsize);

/// The plan of the way back.
CopyPlan exchange_sides(const CopyPlan& plan) noexcept;

}  // namespace devview::cuda
