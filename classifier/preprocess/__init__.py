"""Grey levels → what a network is fed: preprocessing A, B, C and D of Cheng et al."""
