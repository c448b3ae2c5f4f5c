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
    use std::{env, error::Error, fs, path::PathBuf};

    /// What the services send as raw bytes; the rest of the messages are those of the crate.
    const RAW: [&str; 2] = ["WorkItem", "HistoryChunk"];

    /// Generates the services alone, each side into a folder of its own: every message is said to be elsewhere.
    pub(super) fn generate(files: &prost_types::FileDescriptorSet) -> Result<(), Box<dyn Error>> {
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let mut files = files.clone();
        files.file.retain(|file| file.name() != "backend_service.proto");
        let mut homes = Vec::new();
        let protocol = files.file.iter().filter(|file| !file.name().starts_with("google/"));
        for message in protocol.flat_map(|file| &file.message_type) {
            let home = if RAW.contains(&message.name()) { "crate::raw" } else { "crate" };
            homes.push((format!(".{}", message.name()), format!("{home}::{}", message.name())));
        }
        // Apart, because the two sides read messages differently.
        for (side, wanted) in [("server", cfg!(feature = "server")), ("client", cfg!(feature = "client"))] {
            if !wanted {
                continue;
            }
            let out = out.join(side);
            fs::create_dir_all(&out)?;
            let mut config = prost_build::Config::new();
            for (message, home) in &homes {
                config.extern_path(message, home);
            }
            let codec = if side == "server" { "crate::codec::ServerCodec" } else { "tonic_prost::ProstCodec" };
            tonic_prost_build::configure()
                .build_server(side == "server")
                .build_client(side == "client")
                .build_transport(false)
                .codec_path(codec)
                .out_dir(out)
                .compile_fds_with_config(files.clone(), config)?;
        }
        Ok(())
    }
}
