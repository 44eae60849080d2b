// The door of dv.view for exporters whose method returns a View: the device is kept, nothing
// copied.
#include <memory>

#include "buffer/host_access.hpp"
#include "devview/cuda/memory.hpp"
#include "exporter/exporter.hpp"
#include "exporter/exporter_methods.hpp"
#include "owner.hpp"

namespace devview::python {

namespace {

/// The memory is the obtained View's: its block keeps the book of streams for both.
class SharedUses final : public StreamUses {
public:
    explicit SharedUses(std::shared_ptr<Allocation> block) : block_(std::move(block)) {}
    void record(const Stream& stream) override { block_->uses()->record(stream); }
    void order(const Stream& stream) override { block_->uses()->order(stream); }
    void wait() override { block_->uses()->wait(); }
    Stream join() noexcept override { return block_->stream(); }

private:
    std::shared_ptr<Allocation> block_;
};

/// `closure`: (exporter, obtained View, of_2012). Called once, with the stream, which is not
/// needed: the View's own block waits for its uses when it goes.
PyObject* release_obtained_view(PyObject* closure, PyObject*) {
    call_releaser(PyTuple_GET_ITEM(closure, 0), PyTuple_GET_ITEM(closure, 1),
                  PyTuple_GET_ITEM(closure, 2) == Py_True);
    Py_RETURN_NONE;
}

PyMethodDef release_method = {"release_obtained_view", release_obtained_view, METH_O, nullptr};

/// The same memory once more, in the name of `self`, with the release method as its release.
View owned_view(PyObject* self, const Obtained& obtained) {
    const View source = live_view(obtained.object.ptr());
    const auto& block = source.allocation();
    const py::tuple closure =
        py::make_tuple(py::reinterpret_borrow<py::object>(self), obtained.object, obtained.of_2012);
    const auto release =
        py::reinterpret_steal<py::object>(PyCFunction_New(&release_method, closure.ptr()));
    if (!release) throw py::error_already_set();
    auto uses = block->uses() != nullptr ? std::make_unique<SharedUses>(block) : nullptr;
    auto shared = adopt_object(block->data(), block->nbytes(), block->device(), self, release.ptr(),
                               block->stream(), std::move(uses));
    return View(std::move(shared), source.data(), source.format(), source.layout(),
                source.readonly(), source.own_stream());
}

}  // namespace

std::optional<View> view_of_obtained(PyObject* self, const Obtained& obtained) {
    if (!is_view(obtained.object.ptr())) return std::nullopt;
    if (plain_host(view_object(obtained.object.ptr())->view)) return std::nullopt;
    if (!obtained.delegate) {
        try {
            return owned_view(self, obtained);
        } catch (...) {
            call_releaser(self, obtained.object.ptr(), obtained.of_2012);
            throw;
        }
    }
    // A second view of the block: if Python owns that, the collector has to know it
    // (view_object.hpp).
    const View source = live_view(obtained.object.ptr());
    if (has_python_owner(*source.allocation())) allocation_of(obtained.object.ptr());
    return source;
}

}  // namespace devview::python
