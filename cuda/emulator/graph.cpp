// Graphs are replayed on one stream, in an order that their edges allow.
#include "emulator/graph.hpp"

#include <utility>

#include "emulator/memory.hpp"

namespace devview::cuda::emulator {
namespace {

/// Latest first, each as late as its dependents allow; read backwards, it is the order of replay.
void add_with_needs(const GraphState& graph, std::size_t node, std::vector<bool>& added,
                    std::vector<std::size_t>& order) {
    if (added[node]) return;
    added[node] = true;
    const auto& needs = graph.nodes[node].needs;
    for (auto need = needs.rbegin(); need != needs.rend(); ++need)
        add_with_needs(graph, *need, added, order);
    order.push_back(node);
}

std::vector<std::size_t> replay_order(const GraphState& graph) {
    std::vector<std::size_t> order;
    std::vector<bool> added(graph.nodes.size());
    for (std::size_t node = graph.nodes.size(); node-- > 0;)
        add_with_needs(graph, node, added, order);
    return order;
}

}  // namespace

GraphMemory::~GraphMemory() {
    if (blocks.empty() || forked()) return;
    const Lock lock(machine().mutex);
    for (const std::uintptr_t begin : blocks)
        release_block(begin);
}

std::vector<bool> ancestors(const GraphState& graph, const std::vector<std::size_t>& nodes) {
    std::vector<bool> found(graph.nodes.size());
    for (const std::size_t node : nodes)
        found[node] = true;
    for (std::size_t node = graph.nodes.size(); node-- > 0;) {
        if (!found[node]) continue;
        for (const std::size_t need : graph.nodes[node].needs)
            found[need] = true;
    }
    return found;
}

void launch(const std::shared_ptr<GraphExec>& exec, const std::shared_ptr<StreamState>& stream) {
    Operation begin;
    begin.name = "cudaGraphLaunch";
    if (exec->last.stream && exec->last.stream != stream) begin.waits.push_back(exec->last);
    enqueue(stream, std::move(begin));
    for (const std::size_t index : replay_order(exec->graph)) {
        const GraphNode& node = exec->graph.nodes[index];
        Operation operation;
        operation.kind = node.kind;
        operation.name = node.name;
        operation.run = node.run;
        enqueue(stream, std::move(operation));
    }
    Operation end;
    end.name = "cudaGraphLaunch";
    // Destroying what runs is legal: its memory stays until here.
    end.run = [memory = exec->graph.memory]() mutable {
        memory.reset();
        return cudaSuccess;
    };
    exec->last = {stream, enqueue(stream, std::move(end))};
}

}  // namespace devview::cuda::emulator
