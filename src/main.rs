//! The binary `sim`.

/// A run makes and drops millions of small objects: see `results/scheduler-perf/`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kubesim::cli::main()
}
