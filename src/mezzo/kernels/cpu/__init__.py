"""The CPU engine: text LLVM IR, the object cache, worker threads, memory and the kernels."""
