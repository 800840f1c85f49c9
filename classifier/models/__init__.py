"""Networks: backbones, heads that are coherent with the graph, losses, checkpoints."""
