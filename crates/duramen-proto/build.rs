//! Turns the `.proto` files into Rust, with a compiler written in Rust: no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["orchestrator_service.proto", "backend_service.proto"], ["proto"])?;
    #[cfg(feature = "services")]
    services::generate(&files)?;
    let mut config = prost_build::Config::new();
    // Ordered maps: the same value always has the same bytes.
    config.btree_map(["."]).compile_fds(files)?;
    Ok(())
}

#[cfg(feature = "services")]
mod services {
    use std::{env, error::Error, fs, path::Path};

    /// What the services send as raw bytes; the rest of the messages are those of the crate.
    const RAW: [&str; 2] = ["WorkItem", "HistoryChunk"];

    /// Generates the services alone, into a folder of their own: every message is said to be elsewhere.
    pub(super) fn generate(files: &prost_types::FileDescriptorSet) -> Result<(), Box<dyn Error>> {
        let out = Path::new(&env::var("OUT_DIR")?).join("services");
        fs::create_dir_all(&out)?;
        let mut files = files.clone();
        files.file.retain(|file| file.name() != "backend_service.proto");
        let mut config = prost_build::Config::new();
        let protocol = files.file.iter().filter(|file| !file.name().starts_with("google/"));
        for message in protocol.flat_map(|file| &file.message_type) {
            let home = if RAW.contains(&message.name()) { "crate::raw" } else { "crate" };
            config.extern_path(format!(".{}", message.name()), format!("{home}::{}", message.name()));
        }
        tonic_prost_build::configure()
            .build_server(cfg!(feature = "server"))
            .build_client(cfg!(feature = "client"))
            .build_transport(false)
            .out_dir(out)
            .compile_fds_with_config(files, config)?;
        Ok(())
    }
}
