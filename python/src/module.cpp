// The extension module devview._devview: every room adds its part.
#include "bindings.hpp"
#include "buffer/host_access.hpp"
#include "device/staging_object.hpp"
#include "device/stream_object.hpp"
#include "exporter/exporter.hpp"
#include "formats/format_object.hpp"
#include "formats/record_type.hpp"
#include "import.hpp"
#include "view/view_iterator.hpp"
#include "view/view_object.hpp"

PYBIND11_MODULE(_devview, module) {
    namespace dv = devview::python;
    module.doc() = "devview's native part; import devview instead.";
    module.attr("__version__") = DEVVIEW_VERSION;
    dv::bind_errors(module);
    dv::make_allocation_type(module);
    dv::make_view_type(module);
    dv::make_view_iterator_type();
    dv::bind_records(module);
    dv::make_format_type(module);
    dv::bind_devices(module);
    dv::bind_streams(module);
    dv::bind_staging(module);
    dv::bind_transfer_guard(module);
    dv::bind_imports(module);
    dv::bind_exporter(module);
    dv::bind_memory(module);
    dv::bind_allocator(module);
    dv::bind_ipc(module);
    dv::bind_emulation(module);
    dv::bind_extension_table(module);
}
