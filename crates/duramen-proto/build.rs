//! Turns the `.proto` files into Rust, with a compiler written in Rust: no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["orchestrator_service.proto", "backend_service.proto"], ["proto"])?;
    let mut config = prost_build::Config::new();
    // Ordered maps: the same value always has the same bytes.
    config.btree_map(["."]).compile_fds(files)?;
    Ok(())
}
