// Key functions of the error classes: one type_info each, in this library.
#include "devview/error.hpp"

namespace devview {

Error::~Error() = default;
FormatError::~FormatError() = default;
LayoutError::~LayoutError() = default;
BufferError::~BufferError() = default;
ReleasedError::~ReleasedError() = default;
DeviceError::~DeviceError() = default;
NameError::~NameError() = default;
OutOfMemory::~OutOfMemory() = default;

}  // namespace devview
