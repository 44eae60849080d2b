// Graphs: what was captured, in the order of capture, and its replay on a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "emulator/machine.hpp"

namespace devview::cuda::emulator {

struct GraphNode {
    OperationKind kind = OperationKind::marker;
    const char* name = "";
    std::function<cudaError_t()> run{};
    std::vector<std::size_t> needs{};  ///< earlier nodes
};

/// Blocks that were allocated in a capture: their addresses stay, they are used from their
/// allocation to their free in each replay. Given back with the last graph that names them; that
/// takes the machine's lock.
struct GraphMemory {
    std::vector<std::uintptr_t> blocks{};

    GraphMemory() = default;
    GraphMemory(const GraphMemory&) = delete;
    GraphMemory& operator=(const GraphMemory&) = delete;
    ~GraphMemory();
};

struct GraphState {
    std::vector<GraphNode> nodes{};
    std::shared_ptr<GraphMemory> memory = std::make_shared<GraphMemory>();
};

/// An instantiated graph, which no longer depends on the graph.
struct GraphExec {
    GraphState graph{};
    Dependency last{};  ///< end of the latest launch; launches do not overlap (cudaGraphLaunch)
};

/// The nodes that `nodes` depend on, themselves included.
std::vector<bool> ancestors(const GraphState& graph, const std::vector<std::size_t>& nodes);

/// Enqueues a replay. Nodes that no edge orders come in the reverse of the order of capture, so
/// that a missing edge shows as wrong data.
void launch(const std::shared_ptr<GraphExec>& exec, const std::shared_ptr<StreamState>& stream);

}  // namespace devview::cuda::emulator
